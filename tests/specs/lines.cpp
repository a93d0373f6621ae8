// Cases of ops along one dim, and the references of a line that several families need.
#include "tests/specs/lines.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ink::test {

Cases line_cases(LineOp f, LineReference g, bool empty_line, bool dropped, Make make, bool with_complex) {
  return [=] {
    std::vector<std::pair<Shape, int>> forms{{{2, 3}, 0}, {{2, 3}, -1}, {{4}, 0},     {{2, 2, 2}, 1}, {{1, 2}, 0},
                                             {{0, 2}, 1}, {{3, 41}, 1}, {{41, 3}, 0}, {{3, 17, 5}, 1}};
    if (empty_line) forms.push_back({{2, 0}, 1});
    if (!dropped) forms.push_back({{}, 0});
    std::vector<Case> cases;
    int seed = 10;
    for (auto& [shape, dim] : forms) {
      int d = dim;
      OpFn op = [=](const TensorList& in) { return f(in[0], d); };
      Reference reference = [=](const NdList& in) {
        NdList out;
        for (auto& line : g) {
          Nd y = along(in[0], d, line);
          if (dropped) y.shape.erase(d < 0 ? d + y.shape.size() : d);
          out.push_back(y);
        }
        return out;
      };
      std::string label = shape.str() + " along " + std::to_string(d);
      double n = shape.empty() ? 1 : double(shape[d < 0 ? d + shape.size() : d]);
      cases.push_back(make_case(label, {make(shape, ++seed)}, op, reference, shape.numel() < 13, n));
      if (with_complex && seed % 2)
        cases.push_back(
            make_case("complex " + label, {complex_away(shape, seed)}, op, reference, shape.numel() < 13, n));
    }
    return cases;
  };
}
LineOp one(std::function<Tensor(const Tensor&, int64_t)> f) {
  return [f](const Tensor& x, int64_t d) { return TensorList{f(x, d)}; };
}
LineOp two(std::function<std::tuple<Tensor, Tensor>(const Tensor&, int64_t)> f) {
  return [f](const Tensor& x, int64_t d) {
    auto [a, b] = f(x, d);
    return TensorList{a, b};
  };
}
C largest_of(const Line& x) {
  double m = -std::numeric_limits<double>::infinity();
  for (C v : x) m = std::max(m, v.real());
  return m;
}
C log_sum_exp(const Line& x) {
  double total = 0, m = x.empty() ? 0 : largest_of(x).real();
  for (C v : x) total += std::exp(v.real() - m);
  return std::log(total) + m;
}

std::vector<size_t> order_of(const Line& x, bool descending) {
  std::vector<size_t> order(x.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return descending ? x[a].real() > x[b].real() : x[a].real() < x[b].real();
  });
  return order;
}
Line values_at(const Line& x, const std::vector<size_t>& order) {
  Line y;
  for (size_t i : order) y.push_back(x[i]);
  return y;
}
Line numbers(const std::vector<size_t>& order) {
  Line y;
  for (size_t i : order) y.push_back(double(i));
  return y;
}

ErrorInput bad_dim(const char* message, void (*f)(const Tensor&)) {
  return fails<IndexError>("IndexError", message, [f] { f(away({2, 3})); });
}
}  // namespace ink::test
