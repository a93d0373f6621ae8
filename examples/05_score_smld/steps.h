// What lesson 05 shows step by step: the trace of a derivative two ways, and clouds of points under Langevin dynamics.
#pragma once
#include <fmt/format.h>

#include "examples/05_score_smld/fields.h"
#include "examples/support/lesson/lesson.h"

namespace ink::lesson {

// ds/dx at one point of four numbers, a row for each backward pass, and the same trace from one pass along v.
inline void a_trace_two_ways(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("the trace of ds/dx");
  const int64_t d = 4;
  const Tensor a =
      tensor({{-1.0, 0.5, 0.0, 0.2}, {0.3, -2.0, 0.4, 0.0}, {0.0, 0.1, -0.5, 0.6}, {0.2, 0.0, 0.3, -1.5}}, kExact);
  Tensor x = tensor({0.5, -1.0, 2.0, 1.0}, kExact);
  x.requires_grad_();
  const Tensor s = matmul(a, tanh(x));
  Tensor rows = full({d, d}, NAN, kExact);
  lesson.frame("a point and its score", {{"x", x.detach()}, {"s(x)", s.detach()}, {"ds/dx", rows}, {"trace", 0.0}},
               "The loss needs the sum of the diagonal of $ds/dx$.");
  double trace = 0;
  for (int64_t i = 0; i < d; ++i) {
    x.zero_grad();
    s[i].backward({}, true);
    rows.select(0, i).copy_(x.grad());
    trace += rows[i][i].item();
    lesson.frame(fmt::format("backward pass {}", i + 1),
                 {{"x", x.detach()}, {"s(x)", s.detach(), {{-1, i}}}, {"ds/dx", rows, {{i, i}}}, {"trace", trace}},
                 fmt::format("The gradient of $s_{}$ is row {} of the matrix; one number of it is used.", i + 1,
                             i + 1));
  }
  for (const std::vector<double>& signs : {std::vector<double>{1, -1, 1, 1}, std::vector<double>{-1, -1, 1, -1}}) {
    const Tensor v = from_data(std::span<const double>(signs), {d});
    x.zero_grad();
    (s * v).sum().backward({}, true);
    lesson.frame(
        "sliced: one pass along v",
        {{"v", v}, {"v ds/dx", x.grad()}, {"v ds/dx v", (x.grad() * v).sum().item()}, {"trace", trace}},
        "One backward pass gives $v^\\top \\frac{ds}{dx}$, and its product with $v$ is the trace in the mean.");
  }
}

// A cloud as a picture of counts after some of the steps.
class Cloud {
 public:
  Cloud(Lesson& lesson, const std::string& player, double reach) : lesson_(lesson), reach_(reach) {
    lesson.player(player);
  }
  void frame(const std::string& title, const Tensor& x, const std::string& text) {
    if (!lesson_.wants_frames()) return;
    lesson_.frame(title, {{"cloud", counts(x, reach_, 24)}, {"share at (5, 5)", share_of_first(x)}}, text);
  }

 private:
  Lesson& lesson_;
  double reach_;
};

}  // namespace ink::lesson
