// Every op with hostile arguments: an ink::Error or a right value, within a bound of time and of memory.
//
// INK_FUZZ_OP=name calls one op, INK_FUZZ_ROUNDS=n how many calls with several hostile arguments an entry gets,
// INK_FUZZ_SEED=n which.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <random>
#include <regex>

#include "tensor/cuda.h"
#include "tensor/raw/raw.h"
#include "tests/catch.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/op_headers.h"

using namespace ink;
using namespace ink::test;

namespace {

constexpr int kSeconds = 60;                   // of one call, which takes a millisecond
constexpr size_t kMemory = size_t(768) << 20;  // of the process beyond what it has at the start

#if INK_SANITIZED
constexpr bool kSanitized = true;
extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=256:allocator_may_return_null=1:detect_leaks=0";
}
extern "C" void __sanitizer_set_death_callback(void (*)());
#else
constexpr bool kSanitized = false;
#endif

// ---- the call in flight, for whoever ends the process

char in_flight[4096];
void say_in_flight(const char* why) {
  for (const char* text : {"\nfuzz: ", why, ": ", static_cast<const char*>(in_flight), "\n"})
    (void)!write(2, text, std::strlen(text));
}
void on_signal(int signal) {
  say_in_flight(signal == SIGALRM ? "still running after its time" : "crashed");
  std::signal(signal, SIG_DFL);
  signal == SIGALRM ? _exit(1) : (void)raise(signal);
}

void guard_process() {
  static bool once = [] {
    std::signal(SIGALRM, on_signal);
#if INK_SANITIZED
    __sanitizer_set_death_callback([] { say_in_flight("ended by a sanitizer"); });
#else
    for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL}) std::signal(s, on_signal);
    long pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t most = rlim_t(pages) * rlim_t(sysconf(_SC_PAGE_SIZE)) + kMemory;
    rlimit limit{most, most};
    setrlimit(RLIMIT_AS, &limit);
#endif
    return true;
  }();
  (void)once;
}

// ---- one call

std::string text_of_call(const Entry& e, const Args& args) {
  std::string text;
  size_t next = 0;
  for (size_t i = 0; i < e.text.size(); ++i) {
    const std::string_view rest = std::string_view(e.text).substr(i, 2);
    if (rest == "{}")
      text += args[next++].text, ++i;
    else if (rest == "{{" || rest == "}}")
      text += rest[0], ++i;
    else
      text += e.text[i];
  }
  return text;
}

std::string join(const Sizes& s) {
  std::string text;
  for (__int128 n : s) text += fmt::format("{}{}", text.empty() ? "" : ", ", double(n));
  return text;
}

// What is wrong with a tensor as such: its size, or that it reaches outside its memory.
std::string unsound(const Tensor& x) {
  if (!x.defined()) return "";
  __int128 n = 1, low = x.storage_offset(), high = low;
  for (int d = 0; d < x.dim(); ++d) {
    if (x.shape()[d] < 0) return "a negative size";
    n *= x.shape()[d];
    if (x.shape()[d] == 0) {
      n = 0;
      break;
    }
  }
  if (n != x.numel()) return fmt::format("it says {} elements for shape {}", x.numel(), x.shape().str());
  if (n == 0) return "";
  for (int d = 0; d < x.dim(); ++d) (x.strides()[d] < 0 ? low : high) += __int128(x.shape()[d] - 1) * x.strides()[d];
  if (low < 0 || (high + 1) * size_of(x.dtype()) > x.impl()->storage->bytes)
    return fmt::format("shape {} with strides {} reaches outside its memory", x.shape().str(), x.strides().str());
  return "";
}

constexpr int64_t kRead = 1 << 16;  // results up to this size are read as a whole

std::string wrong_results(const Entry& e, const Args& args, const TensorList& out) {
  for (const Tensor& x : out) {
    if (std::string what = unsound(x); !what.empty()) return what;
    // what empty gives has no values
    const bool read = !e.name.starts_with("empty") && x.defined() && x.numel() <= kRead;
    if (read && !is_complex(x.dtype())) x.to_vector<double>();
  }
  if (e.total && out[0].numel() <= kRead)
    if (std::optional<double> total = e.total(args)) {
      double got = 0;
      for (double v : out[0].to_vector<double>()) got += v;
      if (!(std::fabs(got - *total) <= 1e-6 * std::fabs(*total)))
        return fmt::format("the elements add up to {}; expected {}", got, *total);
    }
  if (!e.rule) return "";
  std::optional<Sizes> want = e.rule(args);
  if (!want) return fmt::format("it gives shape {}; expected an error", out[0].shape().str());
  if (want->size() == 1 && (*want)[0] < 0) return "";
  if (!std::equal(want->begin(), want->end(), out[0].shape().begin(), out[0].shape().end(),
                  [](__int128 a, int64_t b) { return a == b; }))
    return fmt::format("it gives shape {}; expected [{}]", out[0].shape().str(), join(*want));
  return "";
}

// The gradients of the results, if they are small: each has its input's shape.
std::string wrong_gradients(const TensorList& inputs, const TensorList& out) {
  for (const Tensor& x : out) {
    if (!x.defined() || !x.requires_grad() || x.numel() > kRead) continue;
    x.backward(ones_like(x.detach()), true);
  }
  for (const Tensor& x : inputs)
    if (Tensor g = x.grad(); g.defined() && !(g.shape() == x.shape()))
      return fmt::format("a gradient of shape {} for an input {}", g.shape().str(), x.shape().str());
  return "";
}

// "" for a typed error or a right value.
std::string failure(const Entry& e, const Args& given) {
  const std::string text = text_of_call(e, given);
  std::snprintf(in_flight, sizeof in_flight, "%s", text.c_str());
  alarm(kSeconds);
  std::string wrong;
  try {
    Args args = given;
    TensorList leaves;
    for (Arg& a : args)
      if (Tensor* x = std::get_if<Tensor>(&a.value); x && x->defined() && is_differentiable(x->dtype())) {
        *x = x->detach().requires_grad_();
        leaves.push_back(*x);
      }
    TensorList out = e.call(args);
    wrong = wrong_results(e, args, out);
    if (wrong.empty()) wrong = wrong_gradients(leaves, out);
  } catch (const Error&) {
  } catch (const std::exception& other) { wrong = fmt::format("threw what is no ink::Error: {}", other.what()); }
  alarm(0);
  return wrong.empty() ? "" : fmt::format("{}: {}", text, wrong);
}

int64_t number_from(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}

// ---- the declarations, and whether each has its entries

struct Declared {
  int overloads = 0;
  std::vector<size_t> counts;  // of parameters, of the overloads whose parameters an entry can hold one by one
};

std::map<std::string, Declared> declared(const std::string& path, const char* pattern) {
  std::ifstream file(path);
  REQUIRE(file.good());
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::map<std::string, Declared> found;
  const std::regex start(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), start), end; it != end; ++it) {
    size_t at = size_t(it->position() + it->length()), depth = 1, begin = at;
    size_t count = text[at] == ')' ? 0 : 1;
    for (; depth > 0; ++at) {
      const char c = text[at];
      depth += (c == '(' || c == '{' || c == '<') - (c == ')' || c == '}' || c == '>');
      count += c == ',' && depth == 1;
    }
    const std::string parameters = text.substr(begin, at - begin);
    Declared& d = found[(*it)[1]];
    ++d.overloads;
    static const std::regex grouped(
        "std::span|initializer_list|void\\*|\\w+Options& options");  // an entry has their parts
    if (!std::regex_search(std::regex_replace(parameters, std::regex("const Options& options"), ""), grouped))
      d.counts.push_back(count);
  }
  return found;
}

}  // namespace

TEST_CASE("every declared op has an entry for each of its parameter lists", "[fuzz]") {
  const char* functions = "\n(?:Tensor|bool|std::tuple<Tensor, Tensor>|std::vector<Tensor>) (\\w+)\\(";
  std::map<std::string, Declared> names;
  for (const std::string& header : test::op_headers()) names.merge(declared(header, functions));
  CHECK(names.size() > 150);
  std::map<std::string, std::vector<size_t>> entries;
  for (const Entry& e : all_entries()) entries[e.name].push_back(e.good.size());
  for (const auto& [name, d] : names) {
    INFO(name << " has " << d.overloads << " overloads and " << entries[name].size() << " entries");
    CHECK(entries[name].size() >= size_t(d.overloads));
    for (size_t n : d.counts) {
      INFO("an overload with " << n << " parameters");
      CHECK(std::count(entries[name].begin(), entries[name].end(), n) >=
            std::count(d.counts.begin(), d.counts.end(), n));
    }
  }
  for (const auto& [name, d] : declared(INK_SOURCE_DIR "/tensor/tensor.h", "\n  Tensor& (\\w+_)\\(")) {
    INFO("Tensor::" << name);
    CHECK(entries["Tensor::" + name].size() >= size_t(d.overloads));
  }
}

TEST_CASE("a hostile argument gives a typed error or a right value", "[fuzz]") {
  guard_process();
  const bool device = !default_device().is_cpu();
  const int64_t rounds = number_from("INK_FUZZ_ROUNDS", device ? 5 : kSanitized ? 40 : 100);
  const int64_t every = number_from("INK_FUZZ_EVERY", 1);
  const char* only = std::getenv("INK_FUZZ_OP");
  int64_t calls = 0;
  std::string list;
  int failed = 0;
  auto check = [&](const Entry& e, const Args& args) {
    ++calls;
    std::string wrong = failure(e, args);
    if (!wrong.empty() && ++failed <= 400) list += wrong + "\n";
  };
  for (const Entry& e : all_entries()) {
    if (only && e.name != only) continue;
    std::snprintf(in_flight, sizeof in_flight, "making the arguments of %s", e.name.c_str());
    std::vector<Args> choices;
    for (const Arg& a : e.good) choices.push_back(hostile(a));
    {
      INFO(text_of_call(e, e.good));
      CHECK_NOTHROW(e.call(e.good));
    }
    check(e, e.good);
    for (size_t i = 0; i < choices.size(); ++i)
      for (size_t k = 0; k < choices[i].size(); k += size_t(every)) {
        Args args = e.good;
        args[i] = choices[i][k];
        check(e, args);
      }
    std::mt19937_64 random(uint64_t(number_from("INK_FUZZ_SEED", 1)));
    for (int64_t r = 0; r < rounds && e.good.size() > 1; ++r) {
      Args args = e.good;
      for (int k = 0; k < 2 + int(random() % 2); ++k) {
        size_t i = random() % choices.size();
        if (!choices[i].empty()) args[i] = choices[i][random() % choices[i].size()];
      }
      check(e, args);
    }
  }
  std::printf("fuzz: %lld calls, %d failed\n", static_cast<long long>(calls), failed);
  INFO(list);
  CHECK(failed == 0);
}
