#include "tests/specs/samples.h"

#include <cmath>
#include <cstdlib>

namespace ink::test {

std::string base_name(const std::string& row) { return row.substr(0, row.find('.')); }

Specs all_specs() {
  Specs s;
  for (auto add :
       {add_create_specs,    add_random_specs,  add_elementwise_specs, add_activation_specs, add_arithmetic_specs,
        add_compare_specs,   add_complex_specs, add_reduce_specs,      add_scan_specs,       add_view_specs,
        add_join_specs,      add_index_specs,   add_product_specs,     add_linalg_specs,     add_conv_specs,
        add_softmax_specs,   add_norm_specs,    add_loss_specs,        add_fft_specs,        add_attention_specs,
        add_recurrence_specs})
    add(s);
  return s;
}

Specs wanted_specs() {
  Specs s = all_specs();
  if (const char* only = std::getenv("INK_SPEC"))
    std::erase_if(s, [&](const OpSpec& row) { return base_name(row.name) != only && row.name != only; });
  return s;
}

int64_t Nd::position(const Shape& index) const {
  int64_t at = 0;
  for (int d = 0; d < shape.size(); ++d) at = at * shape[d] + index[d];
  return at;
}

namespace {

// The golden-ratio sequence: no two of the first thousands of members are close.
double fraction(int64_t i, int seed) {
  double u = 0.6180339887498949 * double(i + 1) + 0.3719 * seed + 0.137;
  return u - std::floor(u);
}
template <class F> Tensor filled(const Shape& shape, F f) {
  std::vector<double> v(size_t(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = f(int64_t(i));
  return from_data(std::span<const double>(v), shape);
}
double sign_of(int64_t i, int seed) { return fraction(7 * i + 3, seed + 5) < 0.5 ? -1 : 1; }

}  // namespace

Tensor away(const Shape& shape, int seed) {
  return filled(shape, [&](int64_t i) { return sign_of(i, seed) * (0.3 + 1.7 * fraction(i, seed)); });
}
Tensor positive(const Shape& shape, int seed) {
  return filled(shape, [&](int64_t i) { return 0.3 + 1.7 * fraction(i, seed); });
}
Tensor unit(const Shape& shape, int seed) {
  return filled(shape, [&](int64_t i) { return sign_of(i, seed) * (0.1 + 0.8 * fraction(i, seed)); });
}
Tensor complex_away(const Shape& shape, int seed) { return complex_of(away(shape, seed), away(shape, seed + 31)); }
Tensor indices(std::initializer_list<int64_t> values, const Shape& shape) {
  return from_data(std::span<const int64_t>(values.begin(), values.size()), shape);
}
Tensor mask(const Shape& shape, int seed) {
  return to(filled(shape, [&](int64_t i) { return fraction(3 * i, seed) < 0.5 ? 1 : 0; }), boolean);
}

void each_index(const Shape& shape, const std::function<void(const Shape&)>& f) {
  Shape index = Shape::filled(shape.size(), 0);
  for (int64_t n = shape.numel(); n > 0; --n) {
    f(index);
    for (int d = shape.size() - 1; d >= 0 && ++index[d] == shape[d]; --d) index[d] = 0;
  }
}
Nd nd(const Tensor& t) {
  if (!t.defined()) return {};
  Nd x(t.shape());
  auto values = detach(t).to_vector<complex<double>>();
  for (size_t i = 0; i < values.size(); ++i) x.v[i] = C(values[i].re, values[i].im);
  return x;
}

F1 on_real(double (*f)(double)) {
  return [f](C x) { return C(f(x.real())); };
}
F2 on_reals(double (*f)(double, double)) {
  return [f](C a, C b) { return C(f(a.real(), b.real())); };
}
Nd map(const Nd& x, const F1& f) {
  Nd y(x.shape);
  for (size_t i = 0; i < x.v.size(); ++i) y.v[i] = f(x.v[i]);
  return y;
}
Nd spread_to(const Nd& x, const Shape& shape) {
  Nd y(shape);
  each_index(shape, [&](const Shape& i) {
    Shape from;
    for (int d = 0; d < x.shape.size(); ++d) from.push_back(x.shape[d] == 1 ? 0 : i[d + shape.size() - x.shape.size()]);
    y(i) = x(from);
  });
  return y;
}
Nd zip(const Nd& a, const Nd& b, const F2& f) {
  Shape shape;
  for (int d = std::max(a.shape.size(), b.shape.size()); d-- > 0;) {
    int64_t x = d < a.shape.size() ? a.shape[a.shape.size() - 1 - d] : 1;
    int64_t y = d < b.shape.size() ? b.shape[b.shape.size() - 1 - d] : 1;
    shape.push_back(x == 1 ? y : x);
  }
  Nd x = spread_to(a, shape), y = spread_to(b, shape);
  for (size_t i = 0; i < x.v.size(); ++i) x.v[i] = f(x.v[i], y.v[i]);
  return x;
}

Nd along(const Nd& x, int dim, const std::function<Line(const Line&)>& f) {
  if (x.shape.empty()) return Nd(Shape{}, f(x.v));
  if (dim < 0) dim += x.shape.size();
  int64_t n = x.shape[dim];
  Shape lines = x.shape, shape = x.shape;
  lines[dim] = 1;
  shape[dim] = int64_t(f(Line(size_t(n), C(1))).size());
  Nd y(shape);
  each_index(lines, [&](const Shape& start) {
    Line line;
    Shape i = start;
    for (i[dim] = 0; i[dim] < n; ++i[dim]) line.push_back(x(i));
    line = f(line);
    for (i[dim] = 0; i[dim] < shape[dim]; ++i[dim]) y(i) = line[size_t(i[dim])];
  });
  return y;
}
Nd reduced(const Nd& x, const std::vector<int>& dims, bool keepdim, const std::function<C(const Line&)>& f) {
  uint32_t mask = 0;
  for (int d : dims) mask |= 1u << (d < 0 ? d + x.shape.size() : d);
  if (dims.empty()) mask = ~0u;
  Shape kept, squeezed, inner;
  for (int d = 0; d < x.shape.size(); ++d) {
    bool gone = mask >> d & 1;
    kept.push_back(gone ? 1 : x.shape[d]);
    inner.push_back(gone ? x.shape[d] : 1);
    if (!gone) squeezed.push_back(x.shape[d]);
  }
  Nd y(kept);
  each_index(kept, [&](const Shape& start) {
    Line group;
    each_index(inner, [&](const Shape& by) {
      Shape i = start;
      for (int d = 0; d < i.size(); ++d) i[d] += by[d];
      group.push_back(x(i));
    });
    y(start) = f(group);
  });
  if (!keepdim) y.shape = squeezed;
  return y;
}
Nd moved(const Nd& x, const std::vector<int>& order) {
  Shape shape;
  for (int d : order) shape.push_back(x.shape[d]);
  Nd y(shape);
  each_index(shape, [&](const Shape& i) {
    Shape from = x.shape;
    for (size_t d = 0; d < order.size(); ++d) from[order[d]] = i[int(d)];
    y(i) = x(from);
  });
  return y;
}
Nd product(const Nd& a, const Nd& b) {
  int da = a.shape.size(), db = b.shape.size();
  int64_t m = a.shape[da - 2], k = a.shape[da - 1], n = b.shape[db - 1];
  Shape batch_a(a.shape.begin(), a.shape.end() - 2), batch_b(b.shape.begin(), b.shape.end() - 2);
  Shape shape = zip(Nd(batch_a), Nd(batch_b), [](C x, C) { return x; }).shape, sa = shape, sb = shape;
  for (int64_t s : {m, k}) sa.push_back(s);
  for (int64_t s : {k, n}) sb.push_back(s);
  for (int64_t s : {m, n}) shape.push_back(s);
  Nd x = spread_to(a, sa), y = spread_to(b, sb), z(shape);
  for (int64_t i = 0; i < int64_t(z.v.size()); ++i) {
    int64_t col = i % n, row = i / n;  // row counts through the batch
    for (int64_t j = 0; j < k; ++j)
      z.v[size_t(i)] += x.v[size_t(row * k + j)] * y.v[size_t((row / m * k + j) * n + col)];
  }
  return z;
}

OpFn fn1(std::function<Tensor(const Tensor&)> f) {
  return [f](const TensorList& in) { return TensorList{f(in[0])}; };
}
OpFn fn2(std::function<Tensor(const Tensor&, const Tensor&)> f) {
  return [f](const TensorList& in) { return TensorList{f(in[0], in[1])}; };
}
Case make_case(std::string label, TensorList inputs, OpFn op, Reference reference, bool grad, double terms) {
  return {std::move(label), std::move(inputs), std::move(op), std::move(reference), grad, terms};
}

Cases unary_cases(std::function<Tensor(const Tensor&)> f, F1 reference, Make make, bool with_complex) {
  return [=] {
    Reference ref = [reference](const NdList& in) { return NdList{map(in[0], reference)}; };
    std::vector<Case> cases;
    int seed = 0;
    for (const Shape& shape : {Shape{}, {5}, {2, 3}, {1}, {0}, {2, 0, 3}, {2, 1, 2}, {3, 37}})
      cases.push_back(make_case(shape.str(), {make(shape, ++seed)}, fn1(f), ref, shape.numel() < 10, 1));
    if (with_complex)
      for (const Shape& shape : {Shape{2, 2}, {0}, {3, 19}})
        cases.push_back(
            make_case("complex " + shape.str(), {complex_away(shape, ++seed)}, fn1(f), ref, shape.numel() < 10, 1));
    return cases;
  };
}
Cases binary_cases(std::function<Tensor(const Tensor&, const Tensor&)> f, F2 reference, Make a, Make b,
                   bool with_complex) {
  return [=] {
    Reference ref = [reference](const NdList& in) { return NdList{zip(in[0], in[1], reference)}; };
    std::vector<Case> cases;
    int seed = 0;
    struct Pair {
      Shape a, b;
    };
    for (const Pair& p : std::initializer_list<Pair>{{{2, 3}, {2, 3}},
                                                     {{2, 3}, {3}},
                                                     {{2, 1}, {1, 3}},
                                                     {{}, {3}},
                                                     {{2}, {}},
                                                     {{}, {}},
                                                     {{1}, {2, 1}},
                                                     {{0}, {1}},
                                                     {{2, 0}, {}},
                                                     {{3, 37}, {3, 37}},
                                                     {{3, 37}, {37}}}) {
      ++seed;
      std::string label = p.a.str() + " " + p.b.str();
      cases.push_back(make_case(label, {a(p.a, seed), b(p.b, seed + 50)}, fn2(f), ref, p.a.numel() < 10, 1));
      if (with_complex && (seed < 6 || seed == 10)) {
        cases.push_back(make_case("complex " + label, {complex_away(p.a, seed), complex_away(p.b, seed + 50)}, fn2(f),
                                  ref, p.a.numel() < 10, 1));
        if (seed < 3)
          cases.push_back(make_case("complex and real " + label, {complex_away(p.a, seed), b(p.b, seed + 50)}, fn2(f),
                                    ref, true, 1));
      }
    }
    return cases;
  };
}

}  // namespace ink::test
