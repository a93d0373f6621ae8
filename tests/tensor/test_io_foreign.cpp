// Files that others write: integers that Inkstone lacks, gzip files of several members, names that nobody should print;
// and what a reader says when memory runs out.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "autograd/ops.h"
#include "nn/data/text.h"
#include "nn/state.h"
#include "tensor/allocator.h"
#include "tensor/io.h"
#include "tensor/utf8.h"
#include "tests/catch.h"
#include "tests/support/deflate.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

std::string little(uint64_t v, int bytes) { return std::string(reinterpret_cast<const char*>(&v), size_t(bytes)); }
std::string big(uint64_t v, int bytes) {
  std::string s = little(v, bytes);
  return std::string(s.rbegin(), s.rend());
}
std::string npy(const std::string& descr, const std::string& shape, const std::string& data,
                const char* fortran = "False") {
  const std::string header = "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
  return "\x93NUMPY" + little(1, 2) + little(header.size(), 2) + header + data;
}
std::string safetensors(const std::string& name, const std::string& dtype, const std::string& shape,
                        const std::string& data) {
  const std::string json = "{\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
                           ",\"data_offsets\":[0," + std::to_string(data.size()) + "]}}";
  return little(json.size(), 8) + json + data;
}
const TemporaryFolder& folder() {
  static TemporaryFolder one;
  return one;
}
std::string file(const std::string& bytes) {
  static int count = 0;
  const std::string path = folder() / std::to_string(count++);
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}
Tensor from_npy(const std::string& bytes) { return load_npy(file(bytes)); }
Tensor from_safetensors(const std::string& bytes) { return load_safetensors(file(bytes)).at(0).second; }
void check_is(const Tensor& got, DType dtype, const std::vector<int64_t>& want) {
  CHECK(got.dtype() == dtype);
  CHECK(got.to_vector<int64_t>() == want);
}
template <class F> std::string message_of(F call) {
  try {
    call();
  } catch (const Error& e) { return e.what(); }
  return "no error";
}

}  // namespace

TEST_CASE("npy: integers that we lack become the next wider ones, in either byte order", "[io]") {
  check_is(from_npy(npy("|i1", "(4,)", "\x80\xff\x01\x7f")), i32, {-128, -1, 1, 127});
  check_is(from_npy(npy("<i2", "(3,)", little(0x8000, 2) + little(0xffff, 2) + little(258, 2))), i32,
           {-32768, -1, 258});
  check_is(from_npy(npy(">i2", "(3,)", big(0x8000, 2) + big(0xffff, 2) + big(258, 2))), i32, {-32768, -1, 258});
  check_is(from_npy(npy("<u2", "(2,)", little(65535, 2) + little(258, 2))), i32, {65535, 258});
  check_is(from_npy(npy(">u2", "(2,)", big(65535, 2) + big(258, 2))), i32, {65535, 258});
  check_is(from_npy(npy("<u4", "(2,)", little(4294967295, 4) + little(1, 4))), i64, {4294967295, 1});
  check_is(from_npy(npy(">u4", "(2,)", big(4294967295, 4) + big(1, 4))), i64, {4294967295, 1});
  check_is(from_npy(npy("<u8", "(2,)", little(INT64_MAX, 8) + little(7, 8))), i64, {INT64_MAX, 7});
  check_is(from_npy(npy(">u8", "(2,)", big(INT64_MAX, 8) + big(7, 8))), i64, {INT64_MAX, 7});
  check_is(from_npy(npy("<i2", "()", little(5, 2))), i32, {5});
  check_is(from_npy(npy("<i2", "(0, 3)", "")), i32, {});
  // Fortran order: columns first.
  Tensor x = from_npy(npy("|i1", "(2, 3)", "\1\4\2\5\3\6", "True"));
  CHECK(x.shape() == Shape{2, 3});
  check_is(x, i32, {1, 2, 3, 4, 5, 6});
}

TEST_CASE("safetensors: integers that we lack become the next wider ones", "[io]") {
  check_is(from_safetensors(safetensors("x", "I8", "[2]", "\x80\x7f")), i32, {-128, 127});
  check_is(from_safetensors(safetensors("x", "I16", "[2]", little(0x8000, 2) + little(258, 2))), i32, {-32768, 258});
  check_is(from_safetensors(safetensors("x", "U16", "[1,2]", little(65535, 2) + little(1, 2))), i32, {65535, 1});
  check_is(from_safetensors(safetensors("x", "U32", "[1]", little(4294967295, 4))), i64, {4294967295});
  check_is(from_safetensors(safetensors("x", "U64", "[1]", little(INT64_MAX, 8))), i64, {INT64_MAX});
}

TEST_CASE("an unsigned number that i64 does not hold is refused, with the number and its place", "[io]") {
  const std::string data = little(1, 8) + little(uint64_t(1) << 63, 8);
  CHECK_THROWS_AS(from_npy(npy("<u8", "(2,)", data)), IoError);
  CHECK_THROWS_WITH(from_npy(npy("<u8", "(2,)", data)), contains("got 9223372036854775808 as element 1"));
  CHECK_THROWS_WITH(from_safetensors(safetensors("x", "U64", "[2]", data)),
                    contains("got 9223372036854775808 as element 1"));
}

TEST_CASE("sizes of foreign integers are checked as those of others", "[io][hostile]") {
  CHECK_THROWS_WITH(from_npy(npy("<i2", "(2,)", little(1, 2))), contains("got 2 bytes of elements; expected 4"));
  CHECK_THROWS_WITH(from_npy(npy("<u4", "(4611686018427387904,)", "")), contains("overflows"));
  CHECK_THROWS_WITH(from_safetensors(safetensors("x", "I16", "[3]", little(1, 4))),
                    contains("got 4 bytes; expected 6 for I16"));
  CHECK_THROWS_WITH(from_npy(npy("<i3", "(1,)", "abc")), contains("unsupported dtype; got '<i3'"));
}

TEST_CASE("a gzip file of several members holds what they hold, one after the other", "[io]") {
  const std::string three = gzipped("one ") + gzipped("") + gzipped("two ") + gzipped(std::string(200000, 'x'));
  CHECK(read_unpacked(file(three)) == "one two " + std::string(200000, 'x'));
  // An element's bytes may stand in two members.
  const std::string idx = std::string("\0\0\x0c\1\0\0\0\2\0\0\1\2\xff\xff\xff\xfd", 16);
  for (size_t cut : {1, 3, 8, 10, 15})
    check_is(load_idx(file(gzipped(idx.substr(0, cut)) + gzipped(idx.substr(cut)))), i32, {258, -3});
  CHECK_THROWS_WITH(read_unpacked(file(gzipped("a") + "b")), contains("bytes after the compressed data; got 1"));
  CHECK_THROWS_WITH(read_unpacked(file(gzipped("a") + "\x1f\x8b")), contains("truncated"));
  CHECK_THROWS_WITH(read_unpacked(file(gzipped("a") + gzipped("bc").substr(0, 15))), contains("truncated"));
  CHECK_THROWS_WITH(read_unpacked(file(gzipped(std::string(600, 'a')) + gzipped(std::string(600, 'a'))), 1000),
                    contains("too large when unpacked"));
}

TEST_CASE("a message quotes foreign text with its controls escaped, and cut", "[io]") {
  CHECK(shown("w.0 \u00e9\u4e2d") == "w.0 \u00e9\u4e2d");
  CHECK(shown("a\x1b[31m\n\x7f") == "a\\x1b[31m\\x0a\\x7f");
  CHECK(shown("\xff\xc2\x9b!") == "\\xff\\xc2\\x9b!");
  CHECK(shown(std::string(200, 'a')) == std::string(200, 'a'));
  CHECK(shown(std::string(201, 'a')) == std::string(200, 'a') + "... (201 bytes)");
  CHECK(shown(std::string(199, 'a') + "\u4e2d") == std::string(199, 'a') + "... (202 bytes)");
  CHECK(shown(std::vector<std::string>()) == " none");
  CHECK(shown(std::vector<std::string>(22, "x")) == " x x x x x x x x x x x x x x x x x x x x and 2 more");
}

TEST_CASE("names of any length and content do not fill a message", "[io][hostile]") {
  const std::string name = std::string(1 << 20, 'n'), escape = "\x1b]0;title\x07";
  auto check_short = [](const std::string& message) {
    CHECK(message.size() < 1000);
    for (char c : message) CHECK(uint8_t(c) >= 0x20);
  };
  for (const std::string& n : {name, escape}) {
    const std::string json_name = n == escape ? "\\u001b]0;title\\u0007" : n;
    check_short(message_of([&] { load_safetensors(file(safetensors(json_name, "F32", "[2]", "abc"))); }));
    check_short(message_of([&] { load_safetensors(file(safetensors("x", json_name, "[2]", "abc"))); }));
    check_short(message_of([&] { load_npy(file(npy(n.substr(0, 60000), "(1,)", "a"))); }));
    check_short(message_of([&] { save_safetensors(folder() / "s", {{n, ones({1})}, {n, ones({1})}}); }));
    check_short(message_of([&] {
      save_npz(folder() / "s", {{n.substr(0, 60000), ones({1})}, {n.substr(0, 60000), ones({1})}});
    }));
    check_short(message_of([&] { state_integer({}, n); }));
    check_short(message_of([&] { state_part({{n + ".w", ones({1})}}, "model"); }));
    check_short(message_of([&] { state_part({}, n); }));
    check_short(message_of([&] { merge_states({{"a", {{n, ones({1})}, {n, ones({1})}}}}); }));
  }
  const std::string path = folder() / "z";
  save_npz(path, {{"n\n" + std::string(60000, 'n'), ones({1})}});
  std::string bytes = read_file(path);
  bytes[bytes.find("NUMPY") + 500 - 370] ^= 1;  // an element: the CRC is wrong
  check_short(message_of([&] { load_npz(file(bytes)); }));
}

#if !defined(__SANITIZE_ADDRESS__)
// What a call throws in a process that may take only so much more memory: "MemoryError: ..." or another name.
template <class F> std::string outcome_with_little_memory(size_t most, F call) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  cpu_allocator().release_cached();
  const pid_t child = fork();
  if (child == 0) {
    long pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t limit = rlim_t(pages) * rlim_t(sysconf(_SC_PAGE_SIZE)) + most;
    rlimit bound{limit, limit};
    setrlimit(RLIMIT_AS, &bound);
    char text[400] = "no error";
    try {
      call();
    } catch (const MemoryError& e) {
      std::snprintf(text, sizeof text, "MemoryError: %s", e.what());
    } catch (const std::exception& e) { std::snprintf(text, sizeof text, "another: %s", e.what()); }
    (void)!write(ends[1], text, sizeof text);
    _exit(0);
  }
  close(ends[1]);
  char text[400] = "died";
  (void)!read(ends[0], text, sizeof text);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return text;
}

TEST_CASE("memory that runs out while a file is read is a MemoryError with numbers", "[io][hostile]") {
  const size_t large = size_t(96) << 20, little_memory = size_t(24) << 20;
  const std::string zeros_file = file(std::string(large, 'a')), packed = file(gzipped(std::string(large, 'a')));
  const std::string x = npy("|u1", "(" + std::to_string(large) + ",)", std::string(large, 'a'));
  save_npz(folder() / "large.npz", {{"x", full({int64_t(large)}, 7, u8)}});
  auto check = [&](const char* op, auto call) {
    INFO(op);
    const std::string got = outcome_with_little_memory(little_memory, call);
    CHECK_THAT(got, contains("MemoryError: "));
    CHECK_THAT(got, contains("bytes"));
  };
  check("read_file", [&] { read_file(zeros_file); });
  check("read_unpacked", [&] { read_unpacked(packed); });
  check("load_npz", [&] { load_npz(folder() / "large.npz"); });
  check("load_npy", [&, path = file(x)] { load_npy(path); });
  check("load_idx",
        [&, path = file(gzipped(std::string("\0\0\x08\1\6\0\0\0", 8) + std::string(large, 'a')))] { load_idx(path); });
  check("CharText::load", [&] { CharText::load(packed); });
  check("load_safetensors", [&, path = file(safetensors("x", "U8", "[" + std::to_string(large) + "]",
                                                        std::string(large, 'a')))] { load_safetensors(path); });
  // A header that is itself too large: names without end.
  std::string json = "{\"__metadata__\":{\"k\":\"" + std::string(size_t(60) << 20, 'v') + "\"}}";
  check("a header", [&, path = file(little(json.size(), 8) + json)] { load_safetensors(path); });
}
#endif
