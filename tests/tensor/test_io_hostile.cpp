// Damaged and malicious files: each is refused with an IoError that says why, before anything large is allocated.
#include <zlib.h>

#include <fstream>

#include "autograd/ops.h"
#include "tensor/io.h"
#include "tensor/utf8.h"
#include "tests/catch.h"
#include "tests/support/deflate.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

std::string little(uint64_t v, int bytes) { return std::string(reinterpret_cast<const char*>(&v), size_t(bytes)); }

constexpr auto as_npz = [](const std::string& path) { return load_npz(path); };
constexpr auto as_idx = [](const std::string& path) { return load_idx(path); };

// The message of the IoError that load throws for a file of these bytes; "loaded" if it throws none.
template <class Load> std::string refusal(Load load, const std::string& bytes) {
  static TemporaryFolder folder;
  std::filesystem::remove(folder / "hostile");  // some file systems flush a file that is truncated and written again
  std::ofstream(folder / "hostile", std::ios::binary) << bytes;
  try {
    load(folder / "hostile");
  } catch (const IoError& e) { return e.what(); }
  return "loaded";
}
std::string refused_safetensors(const std::string& json, size_t data_bytes) {
  return refusal([](const std::string& p) { load_safetensors(p); },
                 little(json.size(), 8) + json + std::string(data_bytes, '\1'));
}
std::string refused_npy(const std::string& dict, size_t data_bytes, int version = 1) {
  std::string header = dict + "\n";
  return refusal(load_npy, "\x93NUMPY" + little(uint64_t(version), 2) + little(header.size(), version == 1 ? 2 : 4) +
                               header + std::string(data_bytes, '\1'));
}

// A zip of one deflated entry x.npy, whose fields a test may set to something else.
struct Zip {
  std::string content, name = "x.npy", local_name = "x.npy";
  uint32_t flags = 0, method = 8, offset = 0, count = 1, repeat = 1;
  int64_t size = -1, packed_size = -1, crc = -1;

  std::string bytes() const {
    std::string data = method == 8 ? deflated(content) : content;
    uint64_t c =
        crc >= 0 ? uint64_t(crc) : crc32(0, reinterpret_cast<const Bytef*>(content.data()), uInt(content.size()));
    auto fields = [&](const std::string& n) {
      return little(20, 2) + little(flags, 2) + little(method, 2) + little(0, 4) + little(c, 4) +
             little(packed_size >= 0 ? uint64_t(packed_size) : data.size(), 4) +
             little(size >= 0 ? uint64_t(size) : content.size(), 4) + little(n.size(), 2) + little(0, 2);
    };
    std::string file = "PK\3\4" + fields(local_name) + local_name + data, directory;
    for (uint32_t i = 0; i < repeat; ++i) {
      std::string n = i ? std::to_string(i) + name : name;
      directory += "PK\1\2" + little(20, 2) + fields(n) + std::string(10, '\0') + little(offset, 4) + n;
    }
    return file + directory + "PK\5\6" + std::string(4, '\0') + little(count, 2) + little(count, 2) +
           little(directory.size(), 4) + little(file.size(), 4) + little(0, 2);
  }
};

std::string small_npy() {
  static TemporaryFolder folder;
  save_npy(folder / "x", arange(3));
  return read_file(folder / "x");
}

// Every prefix is refused; with any one byte changed, the file loads or is refused, but nothing else happens.
template <class Load> void check_damaged(Load load, const std::string& bytes) {
  REQUIRE(refusal(load, bytes) == "loaded");
  for (size_t n = 0; n < bytes.size(); ++n) {
    INFO("truncated to " << n << " of " << bytes.size());
    CHECK(refusal(load, bytes.substr(0, n)) != "loaded");
  }
  CHECK(refusal(load, bytes + '\0') != "loaded");
  for (size_t i = 0; i < bytes.size(); ++i)
    for (int bit : {0, 3, 7}) {
      std::string changed = bytes;
      changed[i] = char(changed[i] ^ (1 << bit));
      CHECK_NOTHROW(refusal(load, changed));
    }
}

}  // namespace

TEST_CASE("truncated and damaged files never crash and never load in part", "[io][hostile]") {
  TemporaryFolder folder;
  NamedTensors two = {{"a", arange(3)}, {"b", ones({2, 1})}};
  save_safetensors(folder / "s", two, {{"k", "v"}});
  check_damaged([](const std::string& p) { load_safetensors(p); }, read_file(folder / "s"));
  save_npz(folder / "z", two);
  check_damaged(as_npz, read_file(folder / "z"));
  check_damaged(as_npz, Zip{.content = small_npy()}.bytes());
  check_damaged(load_npy, small_npy());
  std::string idx = std::string("\0\0\x08\2\0\0\0\2\0\0\0\3", 12) + "abcdef";
  check_damaged(as_idx, idx);
  check_damaged(as_idx, gzipped(idx));
}

TEST_CASE("safetensors: what a header may not say", "[io][hostile]") {
  auto load = [](const std::string& p) { load_safetensors(p); };
  CHECK_THAT(refusal(load, "1234"), contains("too short; got 4 bytes; expected at least 8"));
  CHECK_THAT(refusal(load, little(100, 8) + "{}"),
             contains("the header is longer than allowed; got 100 bytes; expected at most 2"));
  CHECK_THAT(refusal(load, little(~uint64_t(0), 8) + "{}"), contains("the header is longer than allowed"));
  CHECK_THAT(refused_safetensors("[]", 0), contains("does not start with '{'"));
  CHECK_THAT(refused_safetensors("{} x", 0), contains("text after its end"));
  CHECK_THAT(refused_safetensors("{\"\xff\": 1}", 0), contains("not UTF-8; at byte 2"));
  CHECK_THAT(refused_safetensors("{}", 1), contains("bytes that no tensor owns; got 1 bytes; expected 0"));

  auto entry = [](const char* dtype, const char* shape, const char* offsets) {
    return std::string(R"({"w":{"dtype":")") + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  CHECK(refused_safetensors(entry("F32", "[2]", "[0,8]"), 8) == "loaded");
  CHECK(refused_safetensors(entry("BOOL", "[2]", "[0,2]"), 2) == "loaded");
  CHECK_THAT(refused_safetensors(entry("F32", "[2]", "[0,8]"), 7),
             contains("'w': offsets outside the data; got [0, 8]; expected 0 to 7"));
  CHECK_THAT(refused_safetensors(entry("F32", "[2]", "[8,0]"), 8), contains("offsets outside the data"));
  CHECK_THAT(refused_safetensors(entry("F32", "[2]", "[4,12]"), 12),
             contains("'w' leaves a gap before it; got data from byte 4; expected 0"));
  CHECK_THAT(refused_safetensors(entry("F32", "[3]", "[0,8]"), 8),
             contains("got 8 bytes; expected 12 for F32 of shape [3]"));
  CHECK_THAT(refused_safetensors(entry("F8_E4M3", "[8]", "[0,8]"), 8),
             contains("'w': unsupported dtype; got \"F8_E4M3\""));
  CHECK_THAT(refused_safetensors(entry("F32", "[4294967296,4294967296]", "[0,0]"), 0), contains("its size overflows"));
  CHECK_THAT(refused_safetensors(entry("F32", "[0,9223372036854775807,9]", "[0,0]"), 0),
             contains("its size overflows"));
  CHECK_THAT(refused_safetensors(entry("F32", "[9223372036854775808]", "[0,0]"), 0), contains("a number is too large"));
  CHECK_THAT(refused_safetensors(entry("F32", "[-1]", "[0,4]"), 4), contains("expected a whole number"));
  CHECK_THAT(refused_safetensors(entry("F32", "[01]", "[0,4]"), 4), contains("expected a whole number"));
  CHECK_THAT(refused_safetensors(entry("F32", "[1.0]", "[0,4]"), 4), contains("expected ']'"));
  CHECK_THAT(refused_safetensors(entry("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4),
             contains("too many dims; got 9; expected at most 8"));
  CHECK_THAT(refused_safetensors(entry("F32", "[1]", "[0,4,4]"), 4),
             contains("data_offsets; got 3 numbers; expected 2"));
  CHECK_THAT(refused_safetensors(entry("F32", "[1 2]", "[0,4]"), 4), contains("expected ']'"));
  CHECK_THAT(refused_safetensors(R"({"w":{"dtype":"F32","shape":[1]}})", 4), contains("'w': incomplete"));
  CHECK_THAT(refused_safetensors(R"({"w":{"dtype":"F32","extra":1}})", 4), contains("unknown key; got 'extra'"));
  CHECK_THAT(refused_safetensors(R"({"w":{"dtype":"F32","dtype":"F32"}})", 4),
             contains("a name stands twice; got 'dtype'"));
  CHECK_THAT(refused_safetensors(R"({"__metadata__":{"a":1}})", 0), contains("expected '\"'"));
  std::string a = R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})",
              b = R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]})";
  CHECK_THAT(refused_safetensors("{" + a + "," + b + "}", 6),
             contains("'b' overlaps the one before it; got data from byte 2; expected 4"));
  CHECK_THAT(refused_safetensors("{" + a + "," + a + "}", 4), contains("a name stands twice; got 'a'"));
  CHECK_THAT(refused_safetensors("{" + a + ",}", 4), contains("expected '\"'"));
  for (const char* text :
       {R"("\q")", R"("\u12g4")", R"("\ud800")", R"("\ud800\u0041")", R"("\udc00")", "\"\1\"", "\"open"})
    CHECK_THAT(refused_safetensors(std::string(R"({"__metadata__":{"k":)") + text + "}}", 0),
               contains("string") || contains("hexadecimal"));
  CHECK_THAT(refused_safetensors(std::string(100000, '['), 0), contains("does not start with '{'"));
  CHECK_THAT(refused_safetensors("{\"a\":" + std::string(100000, '{'), 0), contains("expected '\"'"));
}

TEST_CASE("npy: what a header may not say", "[io][hostile]") {
  auto dict = [](const std::string& descr, const std::string& shape) {
    return "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + ", }";
  };
  CHECK(refused_npy(dict("'<f4'", "(2,)"), 8) == "loaded");
  CHECK(refused_npy(dict("'>c16'", "()"), 16, 2) == "loaded");
  CHECK(refused_npy(dict("'<i8'", "(2L, 1L)"), 16, 3) == "loaded");
  CHECK_THAT(refusal(load_npy, "PK\3\4 something else"), contains("not an .npy file"));
  CHECK_THAT(refused_npy(dict("'<f4'", "(2,)"), 8, 4), contains("unknown version; got 4.0; expected 1.0, 2.0 or 3.0"));
  CHECK_THAT(refusal(load_npy, std::string("\x93NUMPY\2\0\xff\xff\xff\x7f{}", 14)),
             contains("the header is longer than allowed; got 2147483647"));
  CHECK_THAT(refused_npy(dict("'|O'", "(2,)"), 16), contains("unsupported dtype; got '|O' (Python objects)"));
  CHECK_THAT(refused_npy(dict("'<U3'", "(2,)"), 24), contains("unsupported dtype; got '<U3' (strings)"));
  CHECK_THAT(refused_npy(dict("'|S3'", "(2,)"), 6), contains("unsupported dtype; got '|S3' (strings)"));
  CHECK_THAT(refused_npy(dict("[('a', '<f4'), ('b', '<i4')]", "(2,)"), 16),
             contains("a structured dtype [('a', '<f4')"));
  for (const char* code : {"<i3", "<u16", "<f16", "|i0", "<M8[ns]", "|V2", "", "<"})
    CHECK_THAT(refused_npy(dict(std::string("'") + code + "'", "(2,)"), 4),
               contains("unsupported dtype; got '" + std::string(code) + "'"));
  CHECK_THAT(refused_npy(dict("'<f4'", "(2,)"), 7),
             contains("got 7 bytes of elements; expected 8 for f32 of shape [2]"));
  CHECK_THAT(refused_npy(dict("'<f4'", "(2,)"), 9), contains("got 9 bytes of elements"));
  CHECK_THAT(refused_npy(dict("'<f4'", "(4294967296, 4294967296)"), 0), contains("size overflows"));
  CHECK_THAT(refused_npy(dict("'<f4'", "(99999999999999999999,)"), 0), contains("a size is too large"));
  CHECK_THAT(refused_npy(dict("'<f4'", "(-1,)"), 0), contains("expected whole numbers"));
  CHECK_THAT(refused_npy(dict("'<f4'", "(2)"), 8), contains("expected a tuple such as (3,)"));
  CHECK_THAT(refused_npy(dict("'<f4'", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), 4),
             contains("too many dims; expected at most 8"));
  CHECK_THAT(refused_npy("{'descr': '<f4', 'shape': (1,)}", 4), contains("the header is incomplete"));
  CHECK_THAT(refused_npy("{'descr': '<f4', 'descr': '<f4'}", 4), contains("'descr' stands twice"));
  CHECK_THAT(refused_npy("{'evil': __import__('os')}", 4), contains("unknown key in the header; got 'evil'"));
  CHECK_THAT(refused_npy("{'fortran_order': 1}", 4), contains("expected True or False"));
  CHECK_THAT(refused_npy("{'descr", 4), contains("expected a string in quotes"));
  CHECK_THAT(refused_npy(dict("'<f4'", "(1,)") + "x", 4), contains("text after the header's end"));
}

TEST_CASE("npz: what a zip may not say", "[io][hostile]") {
  auto refused = [](const Zip& zip) { return refusal(as_npz, zip.bytes()); };
  std::string npy = small_npy();
  CHECK(refused({.content = npy}) == "loaded");
  CHECK(refused({.content = npy, .method = 0}) == "loaded");
  CHECK_THAT(refusal(as_npz, npy), contains("not a zip file, or truncated"));
  CHECK_THAT(refused({.content = npy, .crc = 0x1234}),
             contains("'x.npy' is damaged: wrong CRC") && contains("expected 00001234"));
  CHECK_THAT(refused({.content = npy, .flags = 1}), contains("'x.npy' is encrypted"));
  CHECK_THAT(refused({.content = npy, .method = 12}), contains("unsupported compression; got method 12"));
  CHECK_THAT(refused({.content = npy, .name = "x.txt", .local_name = "x.txt"}), contains("'x.txt' is not an array"));
  CHECK_THAT(refused({.content = npy, .local_name = "y.npy"}), contains("the local header does not fit the directory"));
  CHECK_THAT(refused({.content = npy, .offset = 1000000}),
             contains("its place lies outside the file; got byte 1000000"));
  CHECK_THAT(refused({.content = npy, .offset = 1}), contains("the local header does not fit the directory"));
  CHECK_THAT(refused({.content = npy, .count = 2}), contains("the directory is damaged at entry 1"));
  CHECK_THAT(refused({.content = npy, .count = 0}), contains("the directory is longer than its entries"));
  CHECK_THAT(refused({.content = npy, .count = 0xffff}), contains("zip64"));
  CHECK_THAT(refused({.content = npy, .size = 0xffffffff}), contains("'x.npy': zip64 is not supported"));
  CHECK_THAT(refused({.content = npy, .size = 0xfffffffe}), contains("can unpack to 4294967294"));
  CHECK_THAT(refused({.content = npy, .packed_size = 100000}), contains("longer than the file"));
  CHECK_THAT(refused({.content = npy, .size = int64_t(npy.size()) - 1}), contains("the data go on after their end"));
  CHECK_THAT(refused({.content = npy, .size = int64_t(npy.size()) + 1}), contains("the data end early"));
  CHECK_THAT(refused({.content = npy, .method = 0, .size = 1}), contains("stored, but its two sizes differ"));
  CHECK_THAT(refused({.content = "not an array"}), contains("x.npy") && contains("not an .npy file"));
  // One entry listed twice under one local header: the names differ first, then the bytes overlap.
  CHECK_THAT(refused({.content = npy, .count = 2, .repeat = 2}), contains("does not fit the directory"));
}

TEST_CASE("npz: overlapping and repeated entries are refused", "[io][hostile]") {
  // The directory of a good file of one entry, doubled.
  std::string good = Zip{.content = small_npy(), .method = 0}.bytes();
  size_t directory = good.find("PK\1\2"), end = good.find("PK\5\6");
  std::string entry = good.substr(directory, end - directory), tail = good.substr(end);
  tail.replace(8, 8, little(2, 2) + little(2, 2) + little(2 * entry.size(), 4));
  CHECK_THAT(refusal(as_npz, good.substr(0, end) + entry + tail), contains("two entries have one name; got 'x.npy'"));
}

TEST_CASE("IDX: what a file may not say", "[io][hostile]") {
  auto refused = [](std::string bytes) { return refusal(as_idx, bytes); };
  CHECK_THAT(refused("PNG and more"), contains("not an IDX file; got 50 4e at its start; expected 00 00"));
  CHECK_THAT(refused(std::string("\0\0\x09\1\0\0\0\1a", 9)), contains("unsupported element type; got 0x09 (i8)"));
  CHECK_THAT(refused(std::string("\0\0\x0b\1\0\0\0\1ab", 10)), contains("got 0x0b (i16)"));
  CHECK_THAT(refused(std::string("\0\0\x08\x09", 4) + std::string(36, '\1')), contains("too many dims; got 9"));
  CHECK_THAT(refused(std::string("\0\0\x08\4", 4) + std::string(16, '\xff')),
             contains("the sizes do not fit the file"));
  CHECK_THAT(refused(std::string("\0\0\x08\1\0\0\0\3ab", 10)),
             contains("the sizes do not fit the file; got shape [3] of u8; expected at most 2 bytes"));
  CHECK_THAT(refused(std::string("\0\0\x08\1\0\0\0\1ab", 10)), contains("the data go on after their end"));
  std::string bomb = gzipped(std::string("\0\0\x08\1\x7f\xff\xff\xff", 8) + std::string(1000, '\0'));
  CHECK_THAT(refused(bomb), contains("the sizes do not fit the file; got shape [2147483647]"));
  std::string crc = gzipped(std::string("\0\0\x08\1\0\0\0\2ab", 10));
  crc[crc.size() - 8] = char(crc[crc.size() - 8] ^ 1);
  CHECK_THAT(refused(crc), contains("damaged; got 'incorrect data check'"));
  CHECK_THAT(refused(gzipped(std::string("\0\0\x08\1\0\0\0\1a", 9)) + "x"),
             contains("bytes after the compressed data; got 1"));
}

TEST_CASE("UTF-8 is decoded strictly", "[io]") {
  for (char32_t c :
       {U'\0', U'\x7f', U'\x80', U'\x7ff', U'\x800', U'\ud7ff', U'\ue000', U'\uffff', U'\U00010000', U'\U0010ffff'}) {
    std::string text = "a";
    append_utf8(text, c);
    CodePoint got = decode_utf8(text, 1);
    CHECK(got.value == c);
    CHECK(got.bytes == int(text.size()) - 1);
    CHECK(invalid_utf8_at(text) == -1);
    if (got.bytes > 1) CHECK(invalid_utf8_at(text.substr(0, text.size() - 1)) == 1);
  }
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82"})
    CHECK(invalid_utf8_at(std::string("ab") + bad) == 2);
}
