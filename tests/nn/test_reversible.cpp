#include "nn/layers/reversible.h"

#include <cmath>
#include <deque>

#include "autograd/graph/checkpoint.h"
#include "autograd/graph/mode.h"
#include "include/inkstone/testing.h"
#include "nn/layers/activation.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "tensor/allocator.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// F: norm, linear, tanh, dropout; G: linear, gelu, dropout.
struct Block : ReversibleBlock {
  LayerNorm norm;
  Linear a, b;
  Dropout drop;
  explicit Block(int64_t dim, double p = 0) : norm(dim), a(dim, dim), b(dim, dim), drop(p) {}
  Tensor f(const Tensor& x) const override { return drop.forward(tanh(a.forward(norm.forward(x)))); }
  Tensor g(const Tensor& x) const override { return drop.forward(gelu(b.forward(x))); }
  void fields(Fields& f) override { f("norm", norm)("a", a)("b", b)("drop", drop); }
};
using Stack = ReversibleSequence<Block>;

Stack stack_of(int64_t depth, int64_t dim, double p = 0) {
  std::vector<Block> blocks;
  for (int64_t i = 0; i < depth; ++i) blocks.emplace_back(dim, p);
  return Stack(std::move(blocks));
}

// Gradients of sum(w1 y1 + w2 y2) for x1, x2 and all parameters, after y1 and y2 themselves.
std::vector<Tensor> run(Stack& stack, bool reconstruct, const Tensor& x1, const Tensor& x2, uint64_t seed = 9) {
  stack.reconstruct = reconstruct;
  manual_seed(seed);
  Tensor a = x1.detach().requires_grad_(), b = x2.detach().requires_grad_();
  auto [y1, y2] = stack.forward(a, b);
  Tensor loss = (y1 * normal(y1.shape(), 70, x1.dtype())).sum() + (y2 * normal(y2.shape(), 71, x1.dtype())).sum();
  std::vector<Tensor> inputs = stack.parameters(), all{y1.detach(), y2.detach()};
  inputs.push_back(a), inputs.push_back(b);
  for (Tensor& g : grad(std::span(&loss, 1), inputs)) all.push_back(g);
  return all;
}

double worst(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double w = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) w = std::max(w, difference(a[i], b[i]));
  return w;
}

}  // namespace

TEST_CASE("the inverse finds the inputs of a block to 1e-5, of eight blocks too", "[reversible]") {
  manual_seed(1);
  Stack stack = stack_of(8, 16);
  Tensor x1 = normal({4, 5, 16}, 1, f32), x2 = normal({4, 5, 16}, 2, f32);
  NoGrad guard;
  auto [y1, y2] = stack.forward(x1, x2);
  CHECK(difference(y1, x1) > 0.1);
  for (size_t i = 8; i-- > 0;) std::tie(y1, y2) = stack.blocks[i].inverse(y1, y2);
  CHECK(difference(y1, x1) < 1e-5);
  CHECK(difference(y2, x2) < 1e-5);
}

TEST_CASE("gradients equal those of the network that stores, parameters' included", "[reversible][grad]") {
  manual_seed(2);
  Stack stack = stack_of(5, 6);
  CHECK(worst(run(stack, true, normal({3, 6}, 1, f32), normal({3, 6}, 2, f32)),
              run(stack, false, normal({3, 6}, 1, f32), normal({3, 6}, 2, f32))) < 1e-5);
  stack.to(f64);
  Tensor x1 = normal({3, 6}, 1), x2 = normal({3, 6}, 2);
  CHECK(worst(run(stack, true, x1, x2), run(stack, false, x1, x2)) < 1e-13);
}

TEST_CASE(
    "dropout inside is replayed, and the generator goes on as after one "
    "forward pass",
    "[reversible]") {
  manual_seed(3);
  Stack stack = stack_of(4, 6, 0.4);
  stack.to(f64);
  Tensor x1 = normal({3, 6}, 1), x2 = normal({3, 6}, 2);
  std::vector<Tensor> plain = run(stack, false, x1, x2), other = run(stack, false, x1, x2, 10);
  Tensor next = rand({3});
  std::vector<Tensor> again = run(stack, true, x1, x2, 10);
  CHECK(equal(next, rand({3})));
  CHECK(worst(again, other) < 1e-13);
  CHECK(worst(plain, other) > 0.01);  // the masks do matter
  stack.eval();
  CHECK(worst(run(stack, true, x1, x2), run(stack, false, x1, x2)) < 1e-13);
}

TEST_CASE("derivatives agree with differences to second order", "[reversible][grad]") {
  struct Gates : ReversibleBlock {  // its weights may be any tensors, also such with a history
    Tensor w, u;
    Tensor f(const Tensor& x) const override { return tanh(matmul(x, w)); }
    Tensor g(const Tensor& x) const override { return x * sigmoid(x * u); }
  };
  std::deque<Gates> made;                 // a block must be there when its gradient is asked for
  auto run = [&](const TensorList& in) {  // x1, x2, and two blocks' weights
    std::vector<const ReversibleBlock*> list;
    for (size_t i = 2; i < in.size(); i += 2) {
      Gates& b = made.emplace_back();
      b.w = in[i], b.u = in[i + 1];
      list.push_back(&b);
    }
    auto [y1, y2] = reversible(list, in[0], in[1]);
    return TensorList{y1, y2};
  };
  TensorList in{normal({2, 2}, 1), normal({2, 2}, 2), normal({2, 2}, 3),
                normal({2}, 4),    normal({2, 2}, 5), normal({2}, 6)};
  CHECK(check_twice(run, in) == "");
  Stack stack = stack_of(2, 2);
  stack.to(f64);
  auto second = [&](const Tensor& x) { return std::get<1>(stack.forward(x, x * 2)); };
  CHECK(verify::batch(second, normal({3, 2}, 4)).message == "");
}

TEST_CASE("what is kept for the backward pass does not grow with the depth", "[reversible]") {
  const Device device = default_device();
  const int64_t dim = 32, rows = 256, stream = rows * dim * 4;
  auto bytes = [&](int64_t depth,
                   bool reconstruct) {  // after forward, and at most during backward; no gradients kept
    Stack stack = stack_of(depth, dim);
    stack.reconstruct = reconstruct;
    Tensor x = normal({rows, dim}, 1, f32).requires_grad_();
    int64_t before = memory_stats(device).live;
    auto [y1, y2] = stack.forward(x, x);
    Tensor loss = y1.sum() + y2.sum();
    int64_t kept = memory_stats(device).live - before;
    allocator(device).reset_peak();
    Tensor g = grad(loss, x);
    return std::pair(kept, memory_stats(device).peak - before);
  };
  auto [kept2, peak2] = bytes(2, true);
  auto [kept12, peak12] = bytes(12, true);
  CHECK(kept12 == kept2);
  CHECK(kept12 < 3 * stream);  // the two outputs
  CHECK(peak12 == peak2);
  auto [plain2, plain_peak2] = bytes(2, false);
  auto [plain12, plain_peak12] = bytes(12, false);
  CHECK(plain12 > 5 * plain2);
  CHECK(plain_peak12 > 4 * peak12);
}

TEST_CASE(
    "a reversible stack works frozen, without inputs that need a "
    "gradient, twice, and in a checkpoint",
    "[reversible]") {
  manual_seed(5);
  Stack stack = stack_of(3, 4);
  stack.to(f64);
  Tensor x = normal({2, 4}, 1);
  auto loss_of = [&](bool reconstruct, const Tensor& x) {
    stack.reconstruct = reconstruct;
    auto [y1, y2] = stack.forward(x, x);
    return (y1 * y2).sum();
  };
  std::vector<Tensor> of_parameters[2];
  for (bool reconstruct : {false, true}) {
    stack.zero_grad();
    GradOptions keep;
    keep.retain_graph = true;
    Tensor loss = loss_of(reconstruct, x);
    backward(std::span(&loss, 1), {}, keep);
    loss.backward();
    for (const Tensor& p : stack.parameters()) of_parameters[reconstruct].push_back(p.grad());
  }
  CHECK(worst(of_parameters[1], of_parameters[0]) < 1e-12);
  CHECK(max(abs(of_parameters[1][0])).item() > 0);

  stack.requires_grad_(false);
  Tensor leaf = x.detach().clone().requires_grad_();
  Tensor plain = grad(loss_of(false, leaf), leaf);
  CHECK(difference(grad(loss_of(true, leaf), leaf), plain) < 1e-13);
  Tensor inside = checkpoint([&](const TensorList& in) { return loss_of(true, in[0]); }, {leaf});
  CHECK(difference(grad(inside, leaf), plain) < 1e-13);
  CHECK_FALSE(loss_of(true, x).requires_grad());
  auto [y1, y2] = stack_of(0, 4).forward(leaf, x);
  CHECK(equal(y1, leaf));
  CHECK(equal(y2, x));
  auto [e1, e2] = stack.forward(zeros({0, 4}, f64), zeros({0, 4}, f64));
  CHECK(e1.shape() == Shape{0, 4});
}

TEST_CASE("a block of two modules, saved and loaded", "[reversible]") {
  using Pair = Reversible<Linear, Linear>;
  Pair block(Linear(3, 3), Linear(3, 3)), copy(Linear(3, 3), Linear(3, 3));
  copy.load_state_dict(block.state_dict());
  Tensor x = normal({2, 3}, 1, f32);
  auto [y1, y2] = block.forward(x, x);
  auto [z1, z2] = copy.forward(x, x);
  CHECK(equal(y1, z1));
  CHECK(equal(y2, z2));
  CHECK(equal(y1, x + block.first.forward(x)));
  CHECK(equal(y2, x + block.second.forward(y1)));
  CHECK(block.named_parameters()[0].first == "f.weight");
}

TEST_CASE("errors of reversible layers", "[reversible][errors]") {
  Reversible<Linear, Linear> wrong(Linear(3, 2), Linear(3, 3));
  Tensor x = zeros({2, 3}).requires_grad_();
  CHECK_THROWS_WITH(wrong.forward(x, x), contains("reversible: F must keep the shape; got [2, 2]; expected [2, 3]"));
  const ReversibleBlock* list[] = {&wrong};
  CHECK_THROWS_AS(reversible(list, x, x), ShapeError);
  Stack stack = stack_of(2, 3);
  auto [y1, y2] = stack.forward(x, x);
  Tensor loss = y1.sum() + y2.sum();
  {
    NoGrad guard;
    y1.add_(1);
  }
  CHECK_THROWS_WITH(loss.backward(), contains("reversible: an output was overwritten in place by"));
}
