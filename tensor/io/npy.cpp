// .npy: "\x93NUMPY", two version bytes, the header's length, a Python dict that describes the array, the elements.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "tensor/io.h"
#include "tensor/io/npy.h"
#include "tensor/io/text_cursor.h"
#include "tensor/raw/raw.h"
#include "tensor/utf8.h"

namespace ink {
namespace io {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kMaxHeader = 1 << 20;

struct NpyDType {
  const char* code;  // NumPy's kind and size in bytes
  Stored stored;
};
constexpr NpyDType kDTypes[] = {{"f4", f32},    {"f8", f64},     {"f2", f16},     {"c8", c64},     {"c16", c128},
                                {"i8", i64},    {"i4", i32},     {"u1", u8},      {"b1", boolean}, {"i1", kInt8},
                                {"i2", kInt16}, {"u2", kUint16}, {"u4", kUint32}, {"u8", kUint64}};

struct Description {
  const NpyDType* type = nullptr;
  bool big_endian = false, fortran = false;
  Shape shape;
};

// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class DictParser {
 public:
  DictParser(std::string_view text, const Source& source)
      : at_(text, source, "the header is not a description of an array") {}

  Description read() {
    Description d;
    bool descr = false, order = false, shape = false;
    auto once = [&](bool& seen, const std::string& key) {
      if (std::exchange(seen, true)) at_.fail(fmt::format("'{}' stands twice in the header", key));
    };
    at_.expect("{");
    while (!at_.accept("}")) {
      std::string key = quoted();
      at_.expect(":");
      if (key == "descr")
        once(descr, key), dtype(d);
      else if (key == "fortran_order")
        once(order, key), d.fortran = boolean_value();
      else if (key == "shape")
        once(shape, key), d.shape = tuple();
      else
        at_.fail(fmt::format("unknown key in the header; got '{}'; expected descr, fortran_order, shape", shown(key)));
      if (!at_.accept(",")) {
        at_.expect("}");
        break;
      }
    }
    at_.skip_space();
    if (!at_.at_end()) at_.fail("text after the header's end");
    if (!descr || !order || !shape) at_.fail("the header is incomplete; expected descr, fortran_order and shape");
    return d;
  }

 private:
  void dtype(Description& d) {
    at_.skip_space();
    if (at_.peek() == '[') unsupported("a structured dtype " + shown(at_.rest().substr(0, 60)));
    std::string code = quoted();
    char order = code.empty() ? '\0' : code[0];
    std::string_view kind =
        std::string_view(code).substr(order == '<' || order == '>' || order == '|' || order == '=' ? 1 : 0);
    const std::string name = "'" + shown(code) + "'";
    if (kind.starts_with('O')) unsupported(name + " (Python objects)");
    if (kind.starts_with('U') || kind.starts_with('S')) unsupported(name + " (strings)");
    for (const NpyDType& t : kDTypes) {
      if (kind != t.code) continue;
      d.type = &t;
      d.big_endian = order == '>';
      return;
    }
    unsupported(name);
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    std::string codes;
    for (const NpyDType& t : kDTypes) codes += (codes.empty() ? "" : ", ") + std::string(t.code);
    at_.fail(fmt::format("unsupported dtype; got {}; expected one of {}; hint: call astype in NumPy", what, codes));
  }
  bool boolean_value() {
    if (at_.accept("True")) return true;
    if (at_.accept("False")) return false;
    at_.fail("fortran_order; expected True or False");
  }
  Shape tuple() {
    Shape shape;
    at_.expect("(");
    while (!at_.accept(")")) {
      const auto n = at_.digits("a size");
      if (!n) at_.fail("shape; expected whole numbers, 0 or more");
      if (at_.peek() == 'L') at_.skip(1);  // Python 2 wrote 3L
      if (shape.size() == kMaxDims) at_.fail(fmt::format("too many dims; expected at most {}", kMaxDims));
      shape.push_back(*n);
      if (!at_.accept(",")) {
        if (shape.size() == 1) at_.fail("shape; expected a tuple such as (3,)");
        at_.expect(")");
        break;
      }
    }
    return shape;
  }
  std::string quoted() {
    at_.skip_space();
    const char quote = at_.next();
    const size_t end = quote == '\'' || quote == '"' ? at_.rest().find(quote) : std::string_view::npos;
    if (end == std::string_view::npos) at_.fail("expected a string in quotes");
    std::string s(at_.rest().substr(0, end));
    at_.skip(end + 1);
    return s;
  }

  TextCursor at_;
};

}  // namespace

Tensor read_npy(const Source& source) {
  unsigned char start[12] = {};
  int64_t got = std::min<int64_t>(source.size(), 12);
  source.read_at(0, start, got);
  if (got < 10 || std::memcmp(start, kMagic.data(), kMagic.size()) != 0)
    source.fail("not an .npy file; expected it to start with \\x93NUMPY");
  int version = start[6];
  if (version < 1 || version > 3 || start[7] != 0)
    source.fail(fmt::format("unknown version; got {}.{}; expected 1.0, 2.0 or 3.0", version, int(start[7])));
  int64_t prefix = version == 1 ? 10 : 12;
  int64_t length = start[8] | int64_t(start[9]) << 8;
  if (version > 1) length |= int64_t(start[10]) << 16 | int64_t(start[11]) << 24;
  if (length > kMaxHeader || prefix + length > source.size())
    source.fail(fmt::format("the header is longer than allowed; got {} bytes; expected at most {}", length,
                            std::clamp<int64_t>(source.size() - prefix, 0, kMaxHeader)));
  const std::string header = source.text_at(prefix, length);
  Description d = DictParser(header, source).read();

  const Stored stored = d.type->stored;
  int64_t bytes = checked_bytes(stored, d.shape), there = source.size() - prefix - length;
  if (bytes < 0) source.fail(fmt::format("the array's size overflows; got shape {}", d.shape.str()));
  if (bytes != there)
    source.fail(fmt::format("size and header differ; got {} bytes of elements; expected {} for {} of shape {}", there,
                            bytes, stored.plain() ? name_of(stored.dtype) : d.type->code, d.shape.str()));
  Shape reversed, order;
  for (int i = d.shape.size() - 1; i >= 0; --i) reversed.push_back(d.shape[i]), order.push_back(i);
  Tensor x = read_tensor(source, prefix + length, stored, d.fortran ? reversed : d.shape, d.big_endian);
  return d.fortran ? raw::contiguous(raw::permute(x, order)) : x;
}

std::string npy_header(const char* op, const Tensor& x) {
  std::string code;
  for (const NpyDType& t : kDTypes)
    if (t.stored.plain() && t.stored.dtype == x.dtype()) code = t.code;
  if (code.empty())
    throw DTypeError(fmt::format("{}: NumPy has no such dtype; got {}; hint: to(f32) first", op, name_of(x.dtype())));
  std::string shape;
  for (int64_t s : x.shape()) shape += fmt::format("{}, ", s);
  if (x.dim() > 1) shape.resize(shape.size() - 2);
  std::string dict = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                 size_of(x.dtype()) == 1 ? '|' : '<', code, shape);
  size_t total = (10 + dict.size() + 1 + 63) / 64 * 64;  // the elements start aligned, as NumPy writes them
  dict.resize(total - 10 - 1, ' ');
  dict += '\n';
  return std::string(kMagic) + std::string("\x01\x00", 2) + char(dict.size() & 0xff) + char(dict.size() >> 8) + dict;
}

}  // namespace io

void save_npy(const std::string& path, const Tensor& x) {
  Tensor host = io::to_host("save_npy", x);
  std::string header = io::npy_header("save_npy", host);
  io::AtomicFile file("save_npy", path);
  file.write(header);
  file.write(host.raw_data(), host.nbytes());
  file.commit();
}

Tensor load_npy(const std::string& path) try {
  return io::read_npy(io::InputFile("load_npy", path));
} catch (const std::bad_alloc&) { io::out_of_memory("load_npy", path); }

}  // namespace ink
