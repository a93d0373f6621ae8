// .npy: "\x93NUMPY", two version bytes, the header's length, a Python dict that describes the array, the elements.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "tensor/io.h"
#include "tensor/io/npy.h"
#include "tensor/raw/raw.h"

namespace ink {
namespace io {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kMaxHeader = 1 << 20;

struct NpyDType {
  const char* code;  // NumPy's kind and size in bytes
  DType dtype;
};
constexpr NpyDType kDTypes[] = {{"f4", f32}, {"f8", f64}, {"f2", f16}, {"c8", c64},    {"c16", c128},
                                {"i8", i64}, {"i4", i32}, {"u1", u8},  {"b1", boolean}};

struct Description {
  DType dtype = f32;
  bool big_endian = false, fortran = false;
  Shape shape;
};

// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class DictParser {
 public:
  DictParser(std::string_view text, const Source& source) : text_(text), source_(source) {}

  Description read() {
    Description d;
    bool descr = false, order = false, shape = false;
    auto once = [&](bool& seen, const std::string& key) {
      if (std::exchange(seen, true)) fail(fmt::format("'{}' stands twice in the header", key));
    };
    expect('{');
    while (!accept('}')) {
      std::string key = quoted();
      expect(':');
      if (key == "descr")
        once(descr, key), dtype(d);
      else if (key == "fortran_order")
        once(order, key), d.fortran = boolean_value();
      else if (key == "shape")
        once(shape, key), d.shape = tuple();
      else
        fail(fmt::format("unknown key in the header; got '{}'; expected descr, fortran_order, shape", key));
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ < text_.size()) fail("text after the header's end");
    if (!descr || !order || !shape) fail("the header is incomplete; expected descr, fortran_order and shape");
    return d;
  }

 private:
  void dtype(Description& d) {
    skip_space();
    if (peek() == '[') unsupported("a structured dtype " + std::string(text_.substr(at_, 60)));
    std::string code = quoted();
    char order = code.empty() ? '\0' : code[0];
    std::string_view kind =
        std::string_view(code).substr(order == '<' || order == '>' || order == '|' || order == '=' ? 1 : 0);
    if (kind.starts_with('O')) unsupported("'" + code + "' (Python objects)");
    if (kind.starts_with('U') || kind.starts_with('S')) unsupported("'" + code + "' (strings)");
    for (const NpyDType& t : kDTypes) {
      if (kind != t.code) continue;
      d.dtype = t.dtype;
      d.big_endian = order == '>';
      return;
    }
    unsupported("'" + code + "'");
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    fail(fmt::format(
        "unsupported dtype; got {}; expected f2, f4, f8, c8, c16, i4, i8, u1 or b1; hint: call astype in NumPy", what));
  }
  bool boolean_value() {
    skip_space();
    for (std::string_view word : {"True", "False"})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return word == "True";
      }
    fail("fortran_order; expected True or False");
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      int64_t n = number();
      if (shape.size() == kMaxDims) fail(fmt::format("too many dims; expected at most {}", kMaxDims));
      shape.push_back(n);
      if (!accept(',')) {
        if (shape.size() == 1) fail("shape; expected a tuple such as (3,)");
        expect(')');
        break;
      }
    }
    return shape;
  }
  int64_t number() {
    skip_space();
    size_t start = at_;
    int64_t n = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(n, int64_t(10), &n) || __builtin_add_overflow(n, int64_t(text_[at_] - '0'), &n))
        fail("a size is too large; expected at most 63 bits");
    if (at_ == start) fail("shape; expected whole numbers, 0 or more");
    if (peek() == 'L') ++at_;  // Python 2 wrote 3L
    return n;
  }
  std::string quoted() {
    skip_space();
    char quote = peek();
    size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : text_.npos;
    if (end == text_.npos) fail("expected a string in quotes");
    std::string s(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return s;
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool accept(char c) {
    skip_space();
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("the header is not a description of an array; expected '{}'", c));
  }
  [[noreturn]] void fail(const std::string& what) const {
    source_.fail(fmt::format("{}; at byte {} of the header", what, at_));
  }

  std::string_view text_;
  const Source& source_;
  size_t at_ = 0;
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
  std::string header(size_t(length), '\0');
  source.read_at(prefix, header.data(), length);
  Description d = DictParser(header, source).read();

  int64_t bytes = checked_bytes(d.dtype, d.shape), there = source.size() - prefix - length;
  if (bytes < 0) source.fail(fmt::format("the array's size overflows; got shape {}", d.shape.str()));
  if (bytes != there)
    source.fail(fmt::format("size and header differ; got {} bytes of elements; expected {} for {} of shape {}", there,
                            bytes, name_of(d.dtype), d.shape.str()));
  Shape reversed, order;
  for (int i = d.shape.size() - 1; i >= 0; --i) reversed.push_back(d.shape[i]), order.push_back(i);
  Tensor x = read_tensor(source, prefix + length, d.dtype, d.fortran ? reversed : d.shape);
  if (d.big_endian) swap_bytes(x);
  return d.fortran ? raw::contiguous(raw::permute(x, order)) : x;
}

std::string npy_header(const char* op, const Tensor& x) {
  std::string code;
  for (const NpyDType& t : kDTypes)
    if (t.dtype == x.dtype()) code = t.code;
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

Tensor load_npy(const std::string& path) { return io::read_npy(io::InputFile("load_npy", path)); }

}  // namespace ink
