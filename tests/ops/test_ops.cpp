// Every op of autograd/ops.h, forward. The rows are in tests/specs/; INK_SPEC=name runs one of them.
#include <fstream>
#include <map>
#include <regex>

#include "tensor/allocator.h"
#include "tests/catch.h"
#include "tests/specs/checks.h"
#include "tests/specs/samples.h"
#include "tests/support/op_headers.h"

using namespace ink;
using namespace ink::test;

namespace {

template <class F> void for_each_case(F f) {
  for (const OpSpec& spec : wanted_specs())
    for (const Case& c : spec.cases()) f(spec, c);
}
void expect_none(const OpSpec& spec, const Case& c, const char* what, const std::string& wrong) {
  INFO(spec.name << " on " << c.label << ": " << what);
  CHECK(wrong == "");
}
// Runs a check and says which row an exception came from.
template <class F> void run(const OpSpec& spec, const Case& c, const char* what, F check) {
  const std::string wrong = outcome_of(check);
  expect_none(spec, c, what, wrong);
}

// The functions declared in a header, and how often.
std::map<std::string, int> declared(const std::string& path) {
  std::ifstream file(path);
  REQUIRE(file.good());
  std::regex pattern(R"(^(?:Tensor|bool|std::tuple<Tensor, Tensor>|std::vector<Tensor>) (\w+)\()");
  std::map<std::string, int> names;
  std::smatch match;
  for (std::string line; std::getline(file, line);)
    if (std::regex_search(line, match, pattern)) ++names[match[1]];
  return names;
}

}  // namespace

TEST_CASE("every declared op has a row, and every row a declared op", "[ops]") {
  std::map<std::string, int> names;
  for (const std::string& header : op_headers()) names.merge(declared(header));
  CHECK(names.size() > 150);
  std::map<std::string, int> rows;
  for (const OpSpec& s : all_specs()) {
    ++rows[base_name(s.name)];
    INFO(s.name);
    CHECK(names.count(base_name(s.name)) == 1);
  }
  for (auto& [name, overloads] : names) {
    INFO(name << " has " << overloads << " overloads and " << rows[name] << " rows");
    CHECK(rows[name] >= overloads);
  }
}

TEST_CASE("every row has cases, and a reference or the test that holds it", "[ops]") {
  for (const OpSpec& s : all_specs()) {
    auto cases = s.cases();
    INFO(s.name);
    CHECK(!cases.empty());
    bool reference = !cases.empty();
    for (const Case& c : cases) reference &= bool(c.reference);
    CHECK(reference == s.tested_in.empty());
    if (!s.tested_in.empty()) CHECK(std::ifstream(INK_SOURCE_DIR "/" + s.tested_in).good());
  }
}

TEST_CASE("forward equals the f64 reference", "[ops]") {
  for_each_case([](const OpSpec& s, const Case& c) { run(s, c, "f64", [&] { return check_forward(s, c, f64); }); });
}

TEST_CASE("f32, f16, bf16 and integers equal the reference up to their rounding", "[ops]") {
  for_each_case([](const OpSpec& s, const Case& c) {
    for (DType t : s.dtypes)
      if (!is_half(t) || !has_complex(c.inputs)) run(s, c, name_of(t), [&] { return check_forward(s, c, t); });
    if (s.integers && !has_complex(c.inputs))
      for (DType t : {i64, i32, u8}) run(s, c, name_of(t), [&] { return check_forward(s, c, t); });
  });
}

TEST_CASE("views give what contiguous inputs give", "[ops]") {
  for_each_case([](const OpSpec& s, const Case& c) {
    for (DType t : {f64, f32})
      if (t == f64 || !s.dtypes.empty()) run(s, c, name_of(t), [&] { return check_layouts(s, c, t); });
  });
}

TEST_CASE("wrong inputs throw a typed error that says what is wrong", "[ops]") {
  for (const OpSpec& s : wanted_specs())
    for (const ErrorInput& e : s.errors) {
      INFO(s.name << ": " << e.message);
      CHECK(check_error(e) == "");
    }
}

TEST_CASE("nothing is recorded under NoGrad, nor for results without a gradient", "[ops]") {
  for_each_case([](const OpSpec& s, const Case& c) { run(s, c, "modes", [&] { return check_modes(s, c); }); });
}

TEST_CASE("inputs are not changed", "[ops]") {
  for_each_case([](const OpSpec& s, const Case& c) { run(s, c, "inputs", [&] { return check_inputs_kept(s, c); }); });
}

TEST_CASE("no row leaves memory behind", "[ops]") {
  for (const OpSpec& s : wanted_specs()) {
    int64_t before = memory_stats().live;
    for (const Case& c : s.cases()) {
      try {
        check_inputs_kept(s, c);  // forward and backward
      } catch (const Error&) {    // reported by the checks above
      }
    }
    for (const ErrorInput& e : s.errors) check_error(e);
    INFO(s.name);
    CHECK(memory_stats().live == before);
  }
}
