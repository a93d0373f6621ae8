// The hostile arguments of each type, and how arguments are written as C++.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "tensor/raw/raw.h"
#include "tests/fuzz/fuzz.h"

namespace ink::test {
namespace {

constexpr int64_t kLeast = INT64_MIN, kMost = INT64_MAX;
constexpr int64_t kNumbers[] = {0,
                                -1,
                                1,
                                2,
                                -2,
                                3,
                                7,
                                63,
                                64,
                                100,
                                -100,
                                0x7fffffff,
                                int64_t(1) << 31,
                                -(int64_t(1) << 31),
                                int64_t(1) << 32,
                                int64_t(1) << 61,
                                int64_t(1) << 62,
                                -(int64_t(1) << 62),
                                kMost / 3,
                                kMost - 1,
                                kMost,
                                kLeast,
                                kLeast + 1};
const double kReals[] = {0,     -0.,    1,      -1,     0.5, 2,        1e-300,   5e-324,
                         1e300, -1e300, 0x1p63, 0x1p62, NAN, INFINITY, -INFINITY};

std::string number(int64_t v) { return v == kLeast ? "INT64_MIN" : fmt::format("{}LL", v); }
std::string number(double v) {
  return std::isnan(v)   ? "NAN"
         : std::isinf(v) ? (v > 0 ? "INFINITY" : "-INFINITY")
                         : fmt::format("{:.17g}{}", v, v == std::floor(v) && std::fabs(v) < 1e15 ? "." : "");
}
std::string list(const char* type, const Shape& s) {
  std::string text = std::string(type) + "{";
  for (int i = 0; i < s.size(); ++i) text += (i ? ", " : "") + number(s[i]);
  return text + "}";
}
std::string dtype_text(DType t) { return t == boolean ? "boolean" : name_of(t); }
std::string device_text(Device d) {
  return d.is_cpu() ? "Device::cpu()" : fmt::format("Device::cuda({})", int(d.index));
}
std::string scalar_text(const Scalar& s) {
  switch (s.kind()) {
    case kBool:
      return s.to<bool>() ? "Scalar(true)" : "Scalar(false)";
    case kInt:
      return "Scalar(" + number(s.to<int64_t>()) + ")";
    case kFloat:
      return "Scalar(" + number(s.as_double()) + ")";
    default: {
      auto z = s.to<complex<double>>();
      return fmt::format("Scalar(complex<double>({}, {}))", number(z.re), number(z.im));
    }
  }
}

struct Writer {
  std::string operator()(const Tensor&) const { return "?"; }
  std::string operator()(const TensorList&) const { return "?"; }
  std::string operator()(const Shape& s) const { return list("Shape", s); }
  std::string operator()(const Dims& s) const { return list("Dims", s); }
  std::string operator()(int64_t v) const { return number(v); }
  std::string operator()(double v) const { return number(v); }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(const Scalar& s) const { return scalar_text(s); }
  std::string operator()(const std::optional<Scalar>& s) const {
    return s ? "std::optional(" + scalar_text(*s) + ")" : "std::nullopt";
  }
  std::string operator()(const std::optional<double>& s) const {
    return s ? "std::optional(" + number(*s) + ")" : "std::nullopt";
  }
  std::string operator()(const std::optional<int64_t>& s) const {
    return s ? "std::optional<int64_t>(" + number(*s) + ")" : "std::nullopt";
  }
  std::string operator()(DType t) const { return dtype_text(t); }
  std::string operator()(Device d) const { return device_text(d); }
  std::string operator()(const Options& o) const {
    return fmt::format("Options({}, {})", dtype_text(o.dtype), device_text(o.device));
  }
  std::string operator()(std::string_view s) const { return fmt::format("\"{}\"", s); }
  std::string operator()(const Source& s) const { return s.spent ? "&spent" : "nullptr"; }
  std::string operator()(PadMode v) const { return fmt::format("PadMode({})", int(v)); }
  std::string operator()(GeluForm v) const { return fmt::format("GeluForm({})", int(v)); }
  std::string operator()(Reduction v) const { return fmt::format("Reduction({})", int(v)); }
  std::string operator()(Causal v) const { return fmt::format("Causal({})", int(v)); }
  std::string operator()(AttentionAlgorithm v) const { return fmt::format("AttentionAlgorithm({})", int(v)); }
};

constexpr DType kDTypes[] = {f32, f64, f16, bf16, i64, i32, u8, boolean, c64, c128};

// What is made of a tensor; a form that does not exist for it is left out.
struct TensorForms {
  const Tensor& x;
  const std::string& text;
  Args& out;

  template <class F> void form(F make, const std::string& pattern) {
    try {
      std::string call;  // % in the pattern is the tensor
      for (char c : pattern) c == '%' ? call += text : call += c;
      out.push_back({make(), call});
    } catch (const Error&) {}
  }
  void dtypes() {
    for (DType t : kDTypes)
      if (t != x.dtype()) form([&] { return to(x, t); }, "to(%, " + dtype_text(t) + ")");
  }
  // Everywhere the number, and only in the last place.
  void filled(const Scalar& v) {
    form([&] { return full(x.shape(), v, x.options()); }, "full_like(%, " + scalar_text(v) + ")");
    if (x.numel() > 1)
      form(
          [&] {
            Tensor y = clone(x);
            raw::fill(raw::as_strided(y, {}, {}, x.numel() - 1), v);
            return y;
          },
          "last_is(%, " + scalar_text(v) + ")");
  }
  void numbers() {
    if (is_integral(x.dtype()) && x.dtype() != boolean) {
      for (int64_t v :
           {int64_t(0), int64_t(-1), int64_t(1), int64_t(2), int64_t(-100), int64_t(1000), int64_t(0x7fffffff),
            -(int64_t(1) << 31), int64_t(1) << 32, int64_t(1) << 62, kMost, kLeast, kLeast + 1})
        filled(v);
    } else if (x.dtype() != boolean) {
      for (double v : {0., -0., -1., 1e-30, 3e38, -3e38, double(NAN), double(INFINITY), -double(INFINITY), 0x1p63})
        filled(v);
    }
  }
  void shapes() {
    form([&] { return unsqueeze(x, 0); }, "unsqueeze(%, 0)");
    form([&] { return unsqueeze(x, -1); }, "unsqueeze(%, -1)");
    form([&] { return flatten(x); }, "flatten(%)");
    form([&] { return select(x, 0, 0); }, "select(%, 0, 0)");
    form([&] { return transpose(x, 0, -1); }, "transpose(%, 0, -1)");
    form([&] { return cat({x, x}, 0); }, "cat({%, %}, 0)");
    form([&] { return cat({x, x}, -1); }, "cat({%, %}, -1)");
    for (int d = 0; d < x.dim(); ++d) {
      form([&] { return slice(x, d, 0, 0); }, fmt::format("slice(%, {}, 0, 0)", d));
      form([&] { return slice(x, d, 0, 1); }, fmt::format("slice(%, {}, 0, 1)", d));
      form([&] { return expand(slice(x, d, 0, 1), x.shape()); }, fmt::format("expand_as(slice(%, {}, 0, 1), %)", d));
    }
    for (int d = 0; d < x.dim(); ++d)  // without elements, and as large as one pleases
      for (int64_t n : {int64_t(1) << 32, int64_t(1) << 62, kMost}) {
        Shape s = x.shape(), all = Shape::filled(x.dim(), n);
        s[d] = all[d] = 0;
        s[(d + 1) % x.dim()] = n;
        for (const Shape& t : {s, all})
          if (x.dim() > 1)
            form([&] { return zeros(t, x.options()); }, "zeros(" + list("", t) + ", " + dtype_text(x.dtype()) + ")");
      }
    for (Shape s : {Shape{}, Shape{0}, Shape{1}, Shape{0, kMost}, Shape{int64_t(1) << 62, 0, 4}, Shape{1, 1},
                    Shape{1, 1, 1, 1}, Shape{1, 1, 1, 1, 1, 1, 1, 1}})
      form([&] { return zeros(s, x.options()); }, "zeros(" + list("", s) + ", " + dtype_text(x.dtype()) + ")");
  }
};

Args tensors(const Tensor& x, const std::string& text) {
  Args out{{Tensor(), "Tensor()"}};
  if (!x.defined()) {
    for (int64_t n : {0, 1, 3}) out.push_back({zeros({n}), fmt::format("zeros({{{}}})", n)});
    return out;
  }
  TensorForms forms{x, text, out};
  forms.dtypes();
  forms.numbers();
  forms.shapes();
  forms.form([&] { return to(x, x.device().is_cpu() ? Device::cuda() : Device::cpu()); },
             x.device().is_cpu() ? "to(%, Device::cuda())" : "to(%, Device::cpu())");
  return out;
}

Args lists(const TensorList& good, const std::string& text) {
  Args out{{TensorList{}, "TensorList{}"}};
  auto change = [&](const char* what, auto f) {
    try {
      TensorList changed = good;
      f(changed);
      out.push_back({changed, fmt::format("{} of {}", what, text)});
    } catch (const Error&) {}
  };
  change("one undefined", [](TensorList& l) { l.back() = Tensor(); });
  change("first undefined", [](TensorList& l) { l.front() = Tensor(); });
  change("one 0-dim", [](TensorList& l) { l.back() = zeros({}); });
  change("one empty", [](TensorList& l) { l.back() = slice(l.back(), 0, 0, 0); });
  change("one huge and empty", [](TensorList& l) { l.back() = zeros({0, kMost}); });
  change("all huge and empty", [](TensorList& l) {
    for (Tensor& t : l) t = zeros({0, kMost});
  });
  change("one complex", [](TensorList& l) { l.back() = to(l.back(), c128); });
  change("one bool", [](TensorList& l) { l.back() = to(l.back(), boolean); });
  change("one with a dim more", [](TensorList& l) { l.back() = unsqueeze(l.back(), 0); });
  change("one of 8 dims", [](TensorList& l) { l.back() = zeros({1, 1, 1, 1, 1, 1, 1, 1}); });
  change("many", [](TensorList& l) { l.resize(100, l.front()); });
  return out;
}

template <class S> Args shapes(const S& good) {
  Args out;
  auto put = [&](const Shape& s) {
    Value v = S(s);
    out.push_back({v, text_of(v)});
  };
  for (int i = 0; i < good.size(); ++i)
    for (int64_t n : kNumbers) {
      Shape s = good;
      s[i] = n;
      put(s);
    }
  for (int64_t n : {int64_t(0), int64_t(-1), int64_t(1) << 31, kMost, kLeast}) put(Shape::filled(good.size(), n));
  const int64_t half = int64_t(1) << 32, quarter = int64_t(1) << 62;
  for (const Shape& s :
       {Shape{}, Shape{0}, Shape{1}, Shape{kMost}, Shape{kLeast}, Shape{half, half}, Shape{quarter, 4},
        Shape{4, quarter}, Shape{kLeast, 2}, Shape{0, kMost, kMost}, Shape{kMost, kMost, 0}, Shape{-1, -1},
        Shape{kMost, kMost}, Shape{1, 2, 3, 4, 5, 6, 7, 8}, Shape{0, 1, 2, 3, 4, 5, 6, 7}})
    put(s);
  if (good.size() < kMaxDims) {
    Shape s = good;
    s.push_back(kMost);
    put(s);
    s[s.size() - 1] = 0;
    put(s);
  }
  return out;
}

Args scalars() {
  Args out;
  auto put = [&](const Scalar& s) { out.push_back({s, scalar_text(s)}); };
  for (int64_t n : kNumbers) put(n);
  for (double v : kReals) put(v);
  put(true), put(false), put(complex<double>(0, 1)), put(complex<double>(NAN, INFINITY));
  return out;
}

template <class T> Args values(std::initializer_list<T> list) {
  Args out;
  for (const T& v : list) out.push_back({v, text_of(v)});
  return out;
}

struct Hostile {
  const std::string& text;
  Args operator()(const Tensor& x) const { return tensors(x, text); }
  Args operator()(const TensorList& l) const { return lists(l, text); }
  Args operator()(const Shape& s) const { return shapes(s); }
  Args operator()(const Dims& s) const { return shapes(s); }
  Args operator()(int64_t) const {
    Args out;
    for (int64_t v : kNumbers) out.push_back({v, number(v)});
    return out;
  }
  Args operator()(double) const {
    Args out;
    for (double v : kReals) out.push_back({v, number(v)});
    return out;
  }
  Args operator()(bool b) const { return values({!b}); }
  Args operator()(const Scalar&) const { return scalars(); }
  Args operator()(const std::optional<Scalar>&) const {
    Args out{{std::optional<Scalar>(), "std::nullopt"}};
    for (const Arg& a : scalars())
      out.push_back({std::optional(std::get<Scalar>(a.value)), "std::optional(" + a.text + ")"});
    return out;
  }
  Args operator()(const std::optional<double>&) const {
    Args out{{std::optional<double>(), "std::nullopt"}};
    for (double v : kReals) out.push_back({std::optional(v), text_of(std::optional(v))});
    return out;
  }
  Args operator()(const std::optional<int64_t>&) const {
    Args out{{std::optional<int64_t>(), "std::nullopt"}};
    for (int64_t v : kNumbers) out.push_back({std::optional(v), text_of(std::optional(v))});
    return out;
  }
  Args operator()(DType) const {
    Args out;
    for (DType t : kDTypes) out.push_back({t, dtype_text(t)});
    return out;
  }
  Args operator()(Device) const {
    return values(
        {Device::cpu(), Device::cuda(), Device::cuda(1), Device::cuda(127), Device::cuda(-1), Device::cuda(-128)});
  }
  Args operator()(const Options& o) const {
    Args out;
    for (DType t : kDTypes) out.push_back({Options(t, o.device), text_of(Options(t, o.device))});
    for (Device d : {Device::cpu(), Device::cuda(), Device::cuda(127), Device::cuda(-1)})
      out.push_back({Options(o.dtype, d), text_of(Options(o.dtype, d))});
    return out;
  }
  Args operator()(std::string_view) const {
    return values<std::string_view>({"",
                                     "->",
                                     ",",
                                     "ij",
                                     "ij,jk",
                                     "ij,jk->ik->",
                                     "ij,jk->iz",
                                     "ii,ii->i",
                                     "ij,jk->iik",
                                     "...",
                                     "...,...->...",
                                     "..,jk",
                                     "ij,jk,kl->il",
                                     "i j , j k -> i k",
                                     "\xff\xfe,a",
                                     "ab,bc->",
                                     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ,a",
                                     "ij,jk->...ik",
                                     "-,>",
                                     "ij->ji"});
  }
  Args operator()(const Source&) const { return values({Source{true}}); }
  Args operator()(PadMode) const {
    return values({PadMode::constant, PadMode::reflect, PadMode::replicate, PadMode::circular});
  }
  Args operator()(GeluForm) const { return values({GeluForm::erf, GeluForm::tanh}); }
  Args operator()(Reduction) const { return values({Reduction::mean, Reduction::sum, Reduction::none}); }
  Args operator()(Causal) const { return values({Causal::no, Causal::top_left, Causal::bottom_right}); }
  Args operator()(AttentionAlgorithm) const { return values({AttentionAlgorithm::flash, AttentionAlgorithm::naive}); }
};

}  // namespace

std::string text_of(const Value& v) { return std::visit(Writer(), v); }
Args hostile(const Arg& good) { return std::visit(Hostile{good.text}, good.value); }

Generator* passed(const Source& s) {
  static Generator spent;
  spent.state = {~uint64_t(0), ~uint64_t(0) - 5};
  return s.spent ? &spent : nullptr;
}

}  // namespace ink::test
