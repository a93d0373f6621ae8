// Tensor::str: one format for all elements, chosen from their values as torch does (torch/_tensor_str.py).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tensor/raw/raw.h"

namespace ink {
namespace {

constexpr int64_t kLineWidth = 80, kThreshold = 1000, kEdge = 3;

std::string number(double v, int precision, char form) {
  if (std::isnan(v)) return "nan";  // NaN has a sign bit that nobody wants to see
  return form == 'e' ? fmt::format("{:.{}e}", v, precision) : fmt::format("{:.{}f}", v, precision);
}

// How the elements look: fixed point, scientific, or whole numbers with a dot; all padded to one width.
struct Format {
  bool whole = true, scientific = false;
  int precision = 4;
  size_t width = 1;

  Format(const std::vector<double>& values, int precision) : precision(precision) {
    double smallest = INFINITY, largest = 0;
    for (double v : values) {
      if (!std::isfinite(v) || v == 0) continue;
      smallest = std::min(smallest, std::abs(v));
      largest = std::max(largest, std::abs(v));
      whole = whole && v == std::ceil(v);
    }
    if (largest == 0) return;  // only zeros, infinities and NaN
    scientific = largest / smallest > 1000 || largest > 1e8 || (!whole && smallest < 1e-4);
    for (double v : values)
      if (std::isfinite(v) && v != 0) width = std::max(width, text(v).size());
  }
  std::string text(double v) const {
    if (scientific) return number(v, precision, 'e');
    if (!whole) return number(v, precision, 'f');
    return number(v, 0, 'f') + (std::isfinite(v) ? "." : "");
  }
  std::string operator()(double v) const { return fmt::format("{:>{}}", text(v), width); }
};

// The indices of a dim that are printed; -1 stands for "...".
std::vector<int64_t> shown_indices(int64_t size, bool summarise) {
  std::vector<int64_t> list;
  for (int64_t i = 0; i < size; ++i) {
    if (summarise && size > 2 * kEdge && i == kEdge) {
      list.push_back(-1);
      i = size - kEdge;
    }
    list.push_back(i);
  }
  return list;
}

// Calls f(offset in elements) for every printed element, in order.
template <class F> void each_shown(const Tensor& x, bool summarise, int dim, int64_t offset, F& f) {
  if (dim == x.dim()) return f(offset);
  for (int64_t i : shown_indices(x.shape()[dim], summarise))
    if (i >= 0) each_shown(x, summarise, dim + 1, offset + i * x.strides()[dim], f);
}

// Element texts, already of equal width, in brackets: the innermost dim is broken into lines, outer dims get lines of
// their own.
class Brackets {
 public:
  Brackets(const Tensor& x, bool summarise, const std::vector<std::string>& elements, int64_t element_width)
      : x_(x), summarise_(summarise), next_(elements.begin()), element_width_(element_width) {}

  std::string block(int dim, int64_t indent) {
    if (dim == x_.dim()) return *next_++;
    bool innermost = dim + 1 == x_.dim();
    std::string line_break = "," + std::string(innermost ? 1 : x_.dim() - dim - 1, '\n') + std::string(indent + 1, ' ');
    int64_t per_line = innermost ? std::max<int64_t>(1, (kLineWidth - indent) / (element_width_ + 2)) : 1, count = 0;
    std::string text = "[";
    for (int64_t i : shown_indices(x_.shape()[dim], summarise_)) {
      if (count > 0) text += count % per_line == 0 ? line_break : ", ";
      text += i >= 0 ? block(dim + 1, indent + 1) : innermost ? " ..." : "...";
      ++count;
    }
    return text + "]";
  }

 private:
  const Tensor& x_;
  bool summarise_;
  std::vector<std::string>::const_iterator next_;
  int64_t element_width_;
};

std::string joined(const Format& re, const Format& im, complex<double> v) {
  std::string imaginary = im(v.im) + "j";
  imaginary.erase(0, imaginary.find_first_not_of(' '));
  return re(v.re) + (imaginary[0] == '-' ? "" : "+") + imaginary;
}

std::string elements_text(const Tensor& x, int precision, int64_t indent) {
  bool summarise = x.numel() > kThreshold;
  std::vector<std::string> texts;
  int64_t width = 0;
  visit(x.dtype(), [&]<class T>() {
    std::vector<T> values;
    auto take = [&](int64_t offset) { values.push_back(static_cast<const T*>(x.raw_data())[offset]); };
    each_shown(x, summarise, 0, 0, take);
    if constexpr (domain_of(dtype_of<T>) == kComplex) {
      std::vector<double> re, im;
      for (T v : values) re.push_back(v.re), im.push_back(v.im);
      Format real(re, precision), imaginary(im, precision);
      for (T v : values) texts.push_back(joined(real, imaginary, complex<double>(v)));
      width = int64_t(real.width + imaginary.width + 1);
    } else if constexpr (domain_of(dtype_of<T>) == kFloat) {
      Format format(std::vector<double>(values.begin(), values.end()), precision);
      for (T v : values) texts.push_back(format(double(v)));
      width = int64_t(format.width);
    } else {
      for (T v : values) {
        if constexpr (std::is_same_v<T, bool>)
          texts.push_back(v ? "True" : "False");
        else
          texts.push_back(std::to_string(v));
        width = std::max(width, int64_t(texts.back().size()));
      }
      for (std::string& t : texts) t.insert(0, size_t(width) - t.size(), ' ');
    }
  });
  return Brackets(x, summarise, texts, width).block(0, indent);
}

}  // namespace

std::string Tensor::str(int precision) const {
  if (!defined()) return "tensor(undefined)";
  constexpr int64_t indent = 7;  // the width of "tensor("
  std::vector<std::string> notes;
  if (!device().is_cpu()) notes.push_back("device=" + device().str());
  bool plain = dtype() == f32 || (numel() > 0 && (dtype() == i64 || dtype() == c64 || dtype() == boolean));
  if (numel() == 0 && dim() != 1) notes.push_back("size=" + shape().str());
  if (!plain) notes.push_back(fmt::format("dtype={}", name_of(dtype())));
  if (requires_grad()) notes.push_back("requires_grad");

  std::string text =
      "tensor(" + (numel() == 0 ? "[]" : elements_text(raw::to_device(*this, Device::cpu()), precision, indent));
  int64_t used = int64_t(text.size() - (text.rfind('\n') + 1)) + 2;  // torch counts two more
  for (const std::string& note : notes) {
    bool fits = used + int64_t(note.size()) + 2 <= kLineWidth;
    text += fits ? ", " + note : ",\n" + std::string(indent, ' ') + note;
    used = (fits ? used + 2 : indent) + int64_t(note.size());
  }
  return text + ")";
}

}  // namespace ink
