// Readers with hostile files: files tests/fuzz/corpus/READER_*, changed at random. Each file gives a typed error or
// tensors whose elements can be read.
//
//   fuzz_read SECONDS [READER [SEED]]     every reader for so long, or one; the seed of a failure is in its message
#include <sys/mman.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "nn/data/text.h"
#include "tensor/io.h"

using namespace ink;
using std::string;

namespace {

constexpr int64_t kMost = int64_t(1) << 22;  // bytes that a file may unpack to

struct Reader {
  const char* name;
  void (*read)(const string& path);
  std::vector<string> words;  // that mean something to it
};

// Every element is read, and saved again: AddressSanitizer sees what is outside.
void look_at(const NamedTensors& tensors) {
  for (const auto& [name, x] : tensors) {
    if (x.numel() * size_of(x.dtype()) != x.nbytes()) std::abort();
    (void)x.str();
    if (x.numel() > 0) (void)to(x, is_complex(x.dtype()) ? c64 : f64).sum().item_scalar();
  }
}

const Reader readers[] = {
    {"npy",
     [](const string& p) {
       look_at({{"", load_npy(p)}});
     },
     {"'descr': ", "'<f4'", "'>c16'", "'|b1'", "'<u8'", "'|i1'", "'fortran_order': True", "'shape': (",
      "(9223372036854775807,)", "(0,)", "()", "-1", "\n"}},
    {"npz",
     [](const string& p) { look_at(load_npz(p, kMost)); },
     {string("PK\1\2", 4), string("PK\3\4", 4), string("PK\5\6", 4), ".npy", string("\xff\xff\xff\xff", 4),
      string("\10\0", 2)}},
    {"safetensors",
     [](const string& p) {
       std::vector<std::pair<string, string>> metadata;
       look_at(load_safetensors(p, &metadata));
     },
     {"\"dtype\":", "\"F16\"", "\"BOOL\"", "\"U64\"", "\"shape\":[", "\"data_offsets\":[", "9223372036854775808", "{",
      "}", "[", "]", "\"__metadata__\":{", "\\ud83d", "\\u0000", ","}},
    {"idx",
     [](const string& p) {
       look_at({{"", load_idx(p, kMost)}});
     },
     {string("\0\0\x08\x01", 4), string("\0\0\x0d\x03", 4), string("\0\0\x0e\xff", 4), string("\xff\xff\xff\xff", 4),
      "\x1f\x8b\x08"}},
    {"gzip",
     [](const string& p) { (void)read_unpacked(p, kMost); },
     {"\x1f\x8b\x08", string("\0\0\0\0", 4), string("\xff\xff\xff\xff", 4), "\x04", "\x08", "\x10"}},
    {"text",
     [](const string& p) {
       CharText text = CharText::load(p, kMost);
       if (text.decode(text.ids()) != read_unpacked(p, kMost)) std::abort();
     },
     {"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "\xe2\x82\xac", "\xf0\x9f\x98\x80", string(1, '\0')}},
};

std::vector<string> corpus_of(const string& reader) {
  std::vector<string> files;
  for (const auto& entry : std::filesystem::directory_iterator(INK_CORPUS)) {
    if (!entry.path().filename().string().starts_with(reader + "_")) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// One change of the file, like those that have broken readers before.
void change(string& file, const Reader& r, const std::vector<string>& corpus, std::mt19937_64& random) {
  auto below = [&](size_t n) { return n ? size_t(random() % n) : 0; };
  const size_t at = below(file.size()), left = file.size() - at;
  switch (random() % 9) {
    case 0:
      if (left) file[at] = char(file[at] ^ 1 << below(8));
      break;
    case 1:
      if (left) file[at] = char(random());
      break;
    case 2: {  // a number at its bounds, of 1 to 8 bytes, in either order
      const uint64_t bounds[] = {0,         1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, uint64_t(INT64_MAX),
                                 UINT64_MAX};
      uint64_t v = bounds[below(std::size(bounds))] + below(3) - 1;
      if (random() % 2) v = __builtin_bswap64(v);
      std::memcpy(file.data() + at, &v, std::min<size_t>(left, size_t(1) << below(4)));
      break;
    }
    case 3:
      file.resize(at);
      break;
    case 4:
      file.erase(at, below(std::min<size_t>(left, 64)));
      break;
    case 5:
      file.insert(at, file, below(file.size()), below(64));
      break;
    case 6: {
      const string& word = r.words[below(r.words.size())];
      random() % 2 ? file.insert(at, word) : file.replace(at, word.size(), word);
      break;
    }
    case 7: {
      const string& other = corpus[below(corpus.size())];
      file.replace(at, below(left), other, below(other.size()), string::npos);
      break;
    }
    default:
      if (left && file[at] >= '0' && file[at] <= '9') file.insert(at, string(below(20), char('0' + below(10))));
  }
  if (file.size() > 1 << 16) file.resize(1 << 16);
}

char in_flight[200];
void fuzz(const Reader& r, double seconds, uint64_t seed) {
  const std::vector<string> corpus = corpus_of(r.name);
  const int fd = memfd_create("fuzz", 0);
  const string path = "/proc/self/fd/" + std::to_string(fd);
  int64_t files = 0, read = 0;
  const auto stop = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (; std::chrono::steady_clock::now() < stop; ++seed, ++files) {
    std::mt19937_64 random(seed);
    string file = corpus[seed % corpus.size()];
    if (files >= int64_t(corpus.size()))  // first as they are
      for (uint64_t changes = 1 + random() % 6; changes > 0; --changes) change(file, r, corpus, random);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, file.data(), file.size(), 0) != ssize_t(file.size())) std::abort();
    std::snprintf(in_flight, sizeof in_flight, "fuzz_read: %s fails, again by: fuzz_read 0.1 %s %llu\n", r.name, r.name,
                  static_cast<unsigned long long>(seed - corpus.size()));
    alarm(20);
    try {
      r.read(path);
      ++read;
    } catch (const Error&) {
    } catch (const std::exception& other) {
      std::fprintf(stderr, "%sthrew what is no ink::Error: %s\n", in_flight, other.what());
      std::_Exit(1);
    }
    alarm(0);
  }
  close(fd);
  std::printf("%-12s %9lld files, %lld of them read\n", r.name, static_cast<long long>(files),
              static_cast<long long>(read));
  if (read < int64_t(corpus.size()))
    std::fprintf(stderr, "%s: a file of the corpus is not read\n", r.name), std::_Exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  const string only = argc > 2 ? argv[2] : "";
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : std::random_device{}();
  for (int s : {SIGALRM, SIGSEGV, SIGBUS, SIGABRT, SIGFPE})
    std::signal(s, [](int number) {
      (void)!write(2, in_flight, std::strlen(in_flight));
      std::signal(number, SIG_DFL);
      number == SIGALRM ? _exit(1) : (void)raise(number);
    });
  for (const Reader& r : readers)
    if (only.empty() || only == r.name) fuzz(r, seconds, seed);
}
