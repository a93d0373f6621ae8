#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

Tensor indices(std::initializer_list<int64_t> values) {
  std::vector<int64_t> v(values);
  return from_data(std::span<const int64_t>(v), {int64_t(v.size())});
}

}  // namespace

TEST_CASE("cross_entropy is the mean of -log softmax at the target", "[loss]") {
  Tensor z = normal({6, 5}, 1), target = indices({0, 4, 2, 2, 1, 3});
  Tensor logp = log_softmax(z, 1), each = -squeeze(gather(logp, 1, unsqueeze(target, 1)), 1);
  CHECK(difference(cross_entropy(z, target), mean(each)) < 1e-14);
  CHECK(difference(cross_entropy(z, target, {.reduction = Reduction::sum}), sum(each)) < 1e-14);
  CHECK(difference(cross_entropy(z, target, {.reduction = Reduction::none}), each) < 1e-14);
  CHECK(difference(nll_loss(logp, target), mean(each)) < 1e-14);
  Tensor smooth = 0.9 * each - 0.1 * mean(logp, 1);
  CHECK(difference(cross_entropy(z, target, {.reduction = Reduction::none, .label_smoothing = 0.1}), smooth) < 1e-14);
  CHECK(difference(cross_entropy(z, to(target, i32)), mean(each)) < 1e-14);
  CHECK(difference(cross_entropy(z, to(target, u8)), mean(each)) < 1e-14);
  CHECK(cross_entropy(tensor({{1e4, 0}}, f64), indices({1})).item() == 1e4);
}

TEST_CASE("ignored targets have no loss, no gradient and no share of the mean", "[loss]") {
  Tensor z = normal({4, 3}, 1), target = indices({2, -100, 0, -100});
  Tensor kept = index_select(z, 0, indices({0, 2}));
  CHECK(difference(cross_entropy(z, target), cross_entropy(kept, indices({2, 0}))) < 1e-15);
  CHECK(difference(nll_loss(log_softmax(z, 1), target), cross_entropy(z, target)) < 1e-14);
  CHECK(difference(cross_entropy(z, indices({2, 1, 0, 1}), {.ignore_index = 1}), cross_entropy(z, target)) < 1e-15);
  Tensor x = z.detach().requires_grad_();
  cross_entropy(x, target, {.label_smoothing = 0.2}).backward();
  CHECK(equal(select(x.grad(), 0, 1), zeros({3}, f64)));
  CHECK(std::isnan(cross_entropy(z, full({4}, -100, i64)).item()));
  CHECK(cross_entropy(z, full({4}, -100, i64), {.reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("elementwise losses follow their formulas", "[loss]") {
  Tensor x = normal({3, 4}, 1), t = normal({3, 4}, 2), d = x - t;
  CHECK(difference(mse_loss(x, t), mean(d * d)) < 1e-15);
  CHECK(difference(l1_loss(x, t, Reduction::sum), sum(abs(d))) < 1e-15);
  Tensor far = abs(d) > 0.7;
  CHECK(difference(huber_loss(x, t, 0.7, Reduction::none), where(far, 0.7 * abs(d) - 0.245, d * d / 2)) < 1e-15);
  Tensor p = sigmoid(t);
  Tensor naive = -(p * log(sigmoid(x)) + (1 - p) * log(1 - sigmoid(x)));
  CHECK(difference(binary_cross_entropy_with_logits(x, p, Reduction::none), naive) < 1e-14);
  CHECK(binary_cross_entropy_with_logits(tensor({-800, 800}, f64), tensor({1, 0}, f64)).item() == 800);
  Tensor q = log_softmax(x, 1), r = softmax(t, 1);
  CHECK(difference(kl_div(q, r, Reduction::sum), sum(r * (log(r) - q))) < 1e-14);
  CHECK(kl_div(tensor({-INFINITY, 0}, f64), tensor({0, 1}, f64), Reduction::sum).item() == 0);
}

TEST_CASE("gradients of losses; the fused cross entropy equals its composition", "[loss][grad]") {
  Tensor z = normal({4, 3}, 1), target = indices({2, -100, 0, 1});
  for (Reduction r : {Reduction::mean, Reduction::sum, Reduction::none})
    for (double s : {0.0, 0.3}) {
      auto f = [&](const TensorList& in) {
        return cross_entropy(in[0], target, {.reduction = r, .label_smoothing = s});
      };
      CHECK(check_twice([&](const TensorList& in) { return TensorList{f(in)}; }, {z}) == "");
      CHECK(paths_differ(f, {normal({4, 50}, 2)}) < 1e-14);
    }
  Tensor x = normal({3, 2}, 3), t = normal({3, 2}, 4);
  using Loss = Tensor (*)(const Tensor&, const Tensor&, Reduction);
  for (Loss loss : {Loss(mse_loss), Loss(l1_loss), Loss(binary_cross_entropy_with_logits)})
    CHECK(check_twice([&](const TensorList& in) { return TensorList{loss(in[0], in[1], Reduction::mean)}; }, {x, t}) ==
          "");
  CHECK(check_twice([](const TensorList& in) { return TensorList{huber_loss(in[0], in[1], 0.9)}; }, {x, t}) == "");
  CHECK(check_twice([](const TensorList& in) { return TensorList{kl_div(in[0], in[1])}; }, {x, sigmoid(t)}) == "");
  CHECK(check_twice([&](const Tensor& x) { return nll_loss(x, target); }, z) == "");
}

TEST_CASE("errors of losses say which target is wrong", "[loss][errors]") {
  Tensor z = zeros({3, 4});
  CHECK_THROWS_WITH(cross_entropy(z, indices({0, 4, 1})),
                    contains("a target is not a class; got 4 in row 1; expected 0 .. 3"));
  CHECK_THROWS_WITH(nll_loss(z, indices({0, 1, -1})), contains("nll_loss: a target is not a class; got -1 in row 2"));
  CHECK_THROWS_WITH(cross_entropy(z, indices({0, 1})),
                    contains("cross_entropy: got [3, 4] and target [2]; expected [n, classes] and [n]"));
  CHECK_THROWS_AS(cross_entropy(z, zeros({3})), DTypeError);
  CHECK_THROWS_WITH(cross_entropy(z, indices({0, 1, 2}), {.label_smoothing = 2}), contains("label_smoothing got 2"));
  CHECK_THROWS_WITH(mse_loss(z, zeros({4})),
                    contains("mse_loss: input and target differ in shape; got [3, 4] and [4]"));
  CHECK_THROWS_WITH(huber_loss(z, z, 0), contains("huber_loss: delta got 0"));
}
