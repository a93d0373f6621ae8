// Entries of ops that make tensors, and of those that change shapes.
#include <algorithm>

#include "tests/fuzz/fuzz.h"

namespace ink::test {
namespace {

__int128 wide(const Arg& a) { return std::get<int64_t>(a.value); }
const Shape& shape_in(const Arg& a) { return std::get<Shape>(a.value); }
const Tensor& tensor_in(const Arg& a) { return std::get<Tensor>(a.value); }
Sizes sizes_of(const Shape& s) { return Sizes(s.begin(), s.end()); }

std::optional<Sizes> as_asked(const Args& a) { return sizes_of(shape_in(a[0])); }

// max(0, ceil((stop - start) / step)) for whole numbers; what floating point numbers say is left to test_create.
std::optional<Sizes> counted(const Args& a, size_t start, size_t stop, size_t step) {
  auto number = [&](size_t i, __int128 otherwise) -> __int128 {
    return i < a.size() ? __int128(std::get<Scalar>(a[i].value).to<int64_t>()) : otherwise;
  };
  for (size_t i : {start, stop, step})
    if (i < a.size() && std::get<Scalar>(a[i].value).kind() > kInt) return Sizes{-1};
  __int128 by = number(step, 1), span = number(stop, 0) - number(start, 0);
  if (by == 0) return {};
  return Sizes{span / by + (span % by != 0)};
}

std::optional<double> whole_total(const Args& a) {
  if (auto n = counted(a, 0, 1, 2); n && (*n)[0] >= 0) {
    const double start = double(std::get<Scalar>(a[0].value).to<int64_t>()),
                 step = double(std::get<Scalar>(a[2].value).to<int64_t>());
    const double count = double((*n)[0]);
    return count * start + step * count * (count - 1) / 2;
  }
  return {};
}

// How many places of a matrix stand on and below the diagonal.
double below(__int128 rows, __int128 cols, __int128 diagonal) {
  double n = 0;
  for (__int128 i = 0; i < rows; ++i) n += double(std::clamp<__int128>(i + diagonal + 1, 0, cols));
  return n;
}
bool is_plain(const Arg& a, const char* text) { return a.text == text; }

// As in Python.
std::optional<Sizes> sliced(const Args& a) {
  Sizes s = sizes_of(tensor_in(a[0]).shape());
  __int128 d = wide(a[1]), step = wide(a[4]);
  if (s.empty() || step < 1) return {};
  __int128& n = s[size_t(d < 0 ? d + __int128(s.size()) : d)];
  auto end = [&](__int128 i) { return std::clamp<__int128>(i < 0 ? i + n : i, 0, n); };
  const __int128 from = end(wide(a[2])), to = end(wide(a[3]));
  n = to > from ? (to - from + step - 1) / step : 0;
  return s;
}

}  // namespace

void add_making(Entries& e) {
  const Options f = f32;
  OP(empty, Shape{2, 3}, f).rule = as_asked;
  OP(zeros, Shape{2, 3}, f).rule = as_asked;
  OP(ones, Shape{2, 3}, f).rule = as_asked;
  OP(full, Shape{2, 3}, Scalar(7), f).rule = as_asked;
  OP(empty_like, X(ones({2, 3})));
  OP(zeros_like, X(ones({2, 3})));
  OP(ones_like, X(ones({2, 3})));
  OP(full_like, X(ones({2, 3})), Scalar(7));
  OP(full_like, X(ones({2, 3}, u8)), Scalar(7));
  OP(arange, Scalar(5)).rule = [](const Args& a) { return counted(a, 9, 0, 9); };
  OP(arange, Scalar(1), Scalar(9), Scalar(2)).rule = [](const Args& a) { return counted(a, 0, 1, 2); };
  e.back().total = whole_total;
  OP(arange, Scalar(1), Scalar(9), Scalar(2), Options(i64)).rule = [](const Args& a) { return counted(a, 0, 1, 2); };
  OP(arange, Scalar(1.), Scalar(9.), Scalar(2.), f);
  OP(linspace, 0., 1., 5, f).rule = [](const Args& a) { return Sizes{wide(a[2])}; };
  OP(eye, 3, f).rule = [](const Args& a) { return Sizes{wide(a[0]), wide(a[0])}; };
  e.back().total = [](const Args& a) { return double(wide(a[0])); };
  OP(tri, 4, 5, 0).rule = [](const Args& a) { return Sizes{wide(a[0]), wide(a[1])}; };
  e.back().total = [](const Args& a) { return below(wide(a[0]), wide(a[1]), wide(a[2])); };
  add(
      e, "from_data", "from_data(std::vector<float>(6), {})",
      [](const Shape& s) { return from_data(std::vector<float>(6), s); }, Shape{2, 3});
  add(
      e, "from_data", "from_data(std::vector<double>(6), {})",
      [](const Shape& s) { return from_data(std::vector<double>(6), s); }, Shape{2, 3});
  add(
      e, "from_data", "from_data(std::vector<int64_t>(6), {})",
      [](const Shape& s) { return from_data(std::vector<int64_t>(6), s); }, Shape{2, 3});
  add(
      e, "from_data", "from_data({{{}, {}}}, {}, {})",
      [](double a, double b, const Shape& s, const Options& o) {
        return from_data({a, b}, s, o);
      },
      1., 2., Shape{2}, f);
  add(
      e, "tensor", "tensor({{{}, {}}}, {})",
      [](double a, double b, const Options& o) {
        return tensor({a, b}, o);
      },
      1., 2., f);
  add(
      e, "tensor", "tensor({{{{{}}}, {{{}}}}}, {})",
      [](double a, double b, const Options& o) {
        return tensor({{a}, {b}}, o);
      },
      1., 2., f);
  add(
      e, "from_blob", "from_blob(block_of_64_bytes, {}, {})",
      [](const Shape& s, const Options& o) {
        static double block[8];
        // What is too large for the block is the caller's lie, which nobody can see; what fits no memory is refused.
        __int128 n = 1;
        for (int64_t k : s)
          n *= k > 8 && k < (int64_t(1) << 31) ? 9 : k > 0 ? std::min<int64_t>(k, int64_t(1) << 40) : k;
        if (n > 4 && n < (__int128(1) << 62)) throw MemoryError("not asked");
        if (!o.device.is_cpu()) throw DeviceError("not asked");
        return from_blob(block, s, o);
      },
      Shape{2, 2}, Options(f32, Device::cpu()));
  OP(rand, Shape{2, 3}, f, Source{}).rule = as_asked;
  OP(randn, Shape{2, 3}, f, Source{}).rule = as_asked;
  OP(rand_like, X(ones({2, 3})));
  OP(randn_like, X(ones({2, 3})));
  OP(randint, 0, 10, Shape{2, 3}, Options(i64), Source{}).rule = [](const Args& a) { return sizes_of(shape_in(a[2])); };
  OP(randperm, 5, Source{}).rule = [](const Args& a) { return Sizes{wide(a[0])}; };
  OP(bernoulli, X(full({2, 3}, 0.5)), Source{});
  OP(multinomial, X(full({2, 5}, 0.5)), 3, false, Source{});
  OP(multinomial, X(full({2, 5}, 0.5)), 3, true, Source{});
}

void add_shapes(Entries& e) {
  OP(reshape, X(ones({2, 3})), Shape{3, 2});
  OP(reshape, X(transpose(ones({2, 3}), 0, 1)), Shape{6, -1});
  OP(view, X(ones({2, 3})), Shape{3, 2});
  OP(flatten, X(ones({2, 3, 2})), 0, 1);
  OP(permute, X(ones({2, 3})), Dims{1, 0});
  OP(transpose, X(ones({2, 3})), 0, 1);
  OP(movedim, X(ones({2, 3})), 0, 1);
  OP(expand, X(ones({1, 3})), Shape{4, 3}).rule = [](const Args& a) {
    Sizes s = sizes_of(shape_in(a[1]));
    const Shape& x = tensor_in(a[0]).shape();
    for (size_t i = 0; i < s.size(); ++i)
      if (s[i] == -1 && s.size() - i <= size_t(x.size())) s[i] = x[int(i + size_t(x.size()) - s.size())];
    return s;
  };
  OP(expand, X(ones({1, 1})), Shape{4, 3});
  OP(squeeze, X(ones({1, 3})));
  OP(squeeze, X(ones({1, 3})), 0);
  OP(unsqueeze, X(ones({1, 3})), 0);
  OP(slice, X(ones({4, 3})), 0, 1, 3, 1).rule = sliced;
  OP(slice, X(transpose(ones({4, 30}), 0, 1)), 0, 1, 30, 3).rule = sliced;
  OP(narrow, X(ones({4, 3})), 0, 1, 2).rule = [](const Args& a) -> std::optional<Sizes> {
    Sizes s = sizes_of(tensor_in(a[0]).shape());
    __int128 d = wide(a[1]);
    if (s.empty()) return {};
    s[size_t(d < 0 ? d + __int128(s.size()) : d)] = wide(a[3]);
    return s;
  };
  OP(select, X(ones({4, 3})), 0, 1);
  OP(diagonal, X(ones({4, 3})), 1, 0, 1).rule = [](const Args& a) -> std::optional<Sizes> {
    if (!is_plain(a[0], "ones({4, 3})")) return Sizes{-1};
    const bool turned = wide(a[2]) == 1 || wide(a[2]) == -1;
    const __int128 rows = turned ? 3 : 4, cols = turned ? 4 : 3, offset = wide(a[1]);
    return Sizes{
        std::max<__int128>(0, std::min(rows + std::min<__int128>(offset, 0), cols - std::max<__int128>(offset, 0)))};
  };
  OP(unfold, X(ones({9})), 0, 3, 2).rule = [](const Args& a) -> std::optional<Sizes> {
    Sizes s = sizes_of(tensor_in(a[0]).shape());
    __int128 d = wide(a[1]), size = wide(a[2]), step = wide(a[3]);
    if (s.empty()) return Sizes{-1};
    __int128& n = s[size_t(d < 0 ? d + __int128(s.size()) : d)];
    if (size < 1 || step < 1 || size > n) return {};
    n = (n - size) / step + 1;
    s.push_back(size);
    return s;
  };
  OP(split, X(ones({4, 3})), 2, 0);
  OP(split, X(ones({4, 3})), Shape{1, 3}, 0);
  OP(chunk, X(ones({4, 3})), 2, 0);
  OP(unbind, X(ones({4, 3})), 0);
  add(
      e, "cat", "cat({}, {})", [](const TensorList& l, int64_t d) { return cat(l, d); },
      std::vector{X(ones({2, 3})), X(ones({1, 3}))}, 0);
  add(
      e, "cat", "cat({{{}, {}}}, {})",
      [](const Tensor& a, const Tensor& b, int64_t d) {
        return cat({a, b}, d);
      },
      X(ones({2, 3})), X(ones({1, 3})), 0);
  add(
      e, "stack", "stack({}, {})", [](const TensorList& l, int64_t d) { return stack(l, d); },
      std::vector{X(ones({2, 3})), X(ones({2, 3}))}, 0);
  add(
      e, "stack", "stack({{{}, {}}}, {})",
      [](const Tensor& a, const Tensor& b, int64_t d) {
        return stack({a, b}, d);
      },
      X(ones({2, 3})), X(ones({2, 3})), 0);
  auto padded = [](const Args& a) -> std::optional<Sizes> {
    Sizes s = sizes_of(tensor_in(a[0]).shape());
    const Shape& w = shape_in(a[1]);
    if (size_t(w.size()) > 2 * s.size()) return {};
    for (int i = 0; i < w.size(); ++i) s[s.size() - 1 - size_t(i / 2)] += w[i];
    return s;
  };
  OP(pad, X(ones({2, 3})), Shape{1, 2, 0, 1}, PadMode::constant, 0.).rule = padded;
  OP(pad, X(ones({2, 3})), Shape{-1, 2, 0, -1}, PadMode::constant, 0.).rule = padded;
  OP(pad, X(ones({3, 4})), Shape{1, 2, 1, 1}, PadMode::reflect, 0.).rule = padded;
  OP(roll, X(ones({4, 3})), 1, 0);
  OP(flip, X(ones({4, 3})), Dims{0});
  OP(tril, X(ones({4, 3})), 0).total = [](const Args& a) -> std::optional<double> {
    if (!is_plain(a[0], "ones({4, 3})")) return {};
    return below(4, 3, wide(a[1]));
  };
  OP(triu, X(ones({4, 3})), 0).total = [](const Args& a) -> std::optional<double> {
    if (!is_plain(a[0], "ones({4, 3})")) return {};
    return 12 - below(4, 3, wide(a[1]) - 1);
  };
  OP(repeat, X(ones({2, 3})), Shape{2, 3}).rule = [](const Args& a) -> std::optional<Sizes> {
    const Shape &x = tensor_in(a[0]).shape(), &t = shape_in(a[1]);
    if (t.size() < x.size()) return {};
    Sizes s = sizes_of(t);
    for (int i = 0; i < x.size(); ++i) s[size_t(t.size() - x.size() + i)] *= x[i];
    return s;
  };
  OP(repeat, X(ones({1024})), Shape{2});
  OP(repeat_interleave, X(ones({2, 3})), 2, 0).rule = [](const Args& a) -> std::optional<Sizes> {
    Sizes s = sizes_of(tensor_in(a[0]).shape());
    __int128 d = wide(a[2]);
    if (s.empty()) return {};
    s[size_t(d < 0 ? d + __int128(s.size()) : d)] *= wide(a[1]);
    return s;
  };
  OP(diag, X(ones({3})));
  OP(one_hot, X(ones({3}, i64)), 4).rule = [](const Args& a) {
    Sizes s = sizes_of(tensor_in(a[0]).shape());
    s.push_back(wide(a[1]));
    return s;
  };
  OP(one_hot, X(zeros({0}, i64)), 4);
}

}  // namespace ink::test
