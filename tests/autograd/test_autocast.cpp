// Autocast's lists, its cache of weights, nesting and gradients.
#include "autograd/observe/autocast.h"

#include <optional>
#include <string_view>

#include "autograd/attention.h"
#include "autograd/graph/checkpoint.h"
#include "autograd/observe/trace.h"
#include "nn/layers/linear.h"
#include "nn/layers/rnn.h"
#include "nn/models/gpt.h"
#include "optim/sgd.h"
#include "tensor/allocator.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {
// The inputs of casts to 16 bits that share no memory with an earlier result: conversions that were really made.
void note_cast(void* context, const char* op, std::span<const Tensor* const>, std::span<const Tensor> outputs) {
  if (std::string_view(op) != "to" || !is_half(outputs[0].dtype())) return;
  auto& made = *static_cast<TensorList*>(context);
  for (const Tensor& t : made)
    if (t.shares_storage(outputs[0])) return;
  made.push_back(outputs[0].detach());
}
}  // namespace

TEST_CASE("ops under autocast compute in the dtype of their list", "[autocast]") {
  for (DType low : {f16, bf16}) {
    Autocast guard(low);
    const Tensor wide = normal({4, 4}, 1, f32) * 0.1 + 0.5, half = wide.to(low);
    const Tensor image = normal({1, 2, 5, 5}, 2, f32), kernel = normal({3, 2, 3, 3}, 3, f32);
    const Tensor labels = zeros({4}, i64), q = normal({1, 1, 3, 4}, 4, f32);
    // in 16 bits, from f32
    for (const Tensor& y :
         {matmul(wide, wide), linear(wide, wide), addmm(wide, wide, wide), einsum("ij,jk->ik", {wide, wide}),
          conv2d(image, kernel), conv_transpose2d(normal({1, 3, 2, 2}, 5, f32), kernel),
          scaled_dot_product_attention(q, q, q)})
      CHECK(y.dtype() == low);
    // in f32, from halves
    for (const Tensor& y : {exp(half),
                            expm1(half),
                            log(half),
                            log2(half),
                            log10(half),
                            log1p(half),
                            pow(half, 3),
                            pow(half, half),
                            pow(2, half),
                            reciprocal(half),
                            rsqrt(half),
                            tan(half),
                            sinh(half),
                            cosh(half),
                            asin(half),
                            acos(half),
                            erfinv(half),
                            softplus(half),
                            sum(half),
                            mean(half),
                            prod(half),
                            norm(half),
                            cumsum(half, 0),
                            cumprod(half, 0),
                            logsumexp(half, {0}),
                            var(half, {0}),
                            softmax(half, 1),
                            log_softmax(half, 1),
                            layer_norm(half),
                            rms_norm(half),
                            cross_entropy(half, labels),
                            nll_loss(half, labels),
                            mse_loss(half, half),
                            l1_loss(half, half),
                            huber_loss(half, half),
                            binary_cross_entropy_with_logits(half, half),
                            kl_div(half, half)})
      CHECK(y.dtype() == f32);
    // as they come, the widest of several
    for (const Tensor& y : {half + half, half * half, relu(half), tanh(half), sigmoid(half), half.transpose(0, 1),
                            gather(half, 0, zeros({1, 4}, i64)), maximum(half, half), cat({half, half})})
      CHECK(y.dtype() == low);
    for (const Tensor& y : {half + wide, cat({half, wide}), stack({wide, half}), where(half > 0, half, wide)})
      CHECK(y.dtype() == f32);
    // untouched
    const Tensor exact = wide.to(f64);
    for (const Tensor& y : {matmul(exact, exact), exp(exact), softmax(exact, 1)}) CHECK(y.dtype() == f64);
    CHECK(matmul(labels.reshape({2, 2}), labels.reshape({2, 2})).dtype() == i64);
    CHECK_THROWS_WITH(binary_cross_entropy(sigmoid(wide), wide), contains("binary_cross_entropy_with_logits"));
    CHECK_THROWS_AS(binary_cross_entropy(sigmoid(half), half), NotSupported);
  }
  CHECK(binary_cross_entropy(tensor({0.25}, f64), tensor({1}, f64)).item() == Approx(-std::log(0.25)));
  CHECK(binary_cross_entropy(tensor({0, 1}), tensor({1, 0})).item() == 100);
  Tensor sure = tensor({0, 1}, f64).requires_grad_();
  binary_cross_entropy(sure, tensor({1, 1}, f64)).backward();
  CHECK(all(isfinite(sure.grad())).item<bool>());
}

TEST_CASE("regions of autocast nest, and can be switched off inside", "[autocast]") {
  const Tensor x = ones({2, 2});
  Autocast outer(f16);
  CHECK(matmul(x, x).dtype() == f16);
  {
    Autocast inner(bf16);
    CHECK(matmul(x, x).dtype() == bf16);
    Autocast off(bf16, false);
    CHECK(matmul(x, x).dtype() == f32);
  }
  CHECK(matmul(x, x).dtype() == f16);
  CHECK_THROWS_AS(Autocast(f32), DTypeError);
  CHECK(matmul(x, x).dtype() == f16);
}

TEST_CASE("a weight is cast once in a region, and its gradients add up in f32", "[autocast]") {
  const int64_t uses = 300;
  Tensor w = ones({1, 1}).requires_grad_(), x = ones({1, 1}, bf16);
  TensorList made;
  Tensor total = zeros({1, 1});
  {
    Autocast low(bf16);
    Trace trace(note_cast, &made);
    for (int64_t i = 0; i < uses; ++i) total = total + matmul(x, w);
  }
  CHECK(made.size() == 1);
  total.sum().backward();
  CHECK(w.grad().item() == double(uses));  // in bf16 the sum of the gradients would stop at 256
  // the same numbers as without a cache, and through many steps
  GRU gru(3, 4);
  const Tensor seq = normal({2, 6, 3}, 1, f32);
  auto gradients = [&](bool one_region) {
    gru.zero_grad();
    if (one_region) {
      Autocast low(bf16);
      gru.forward(seq).output.sum().backward();
    } else {
      NoGrad none;
      EnableGrad some;
      Autocast low(bf16);
      gru.forward(seq).output.sum().backward();
    }
    TensorList g;
    for (const Tensor& p : gru.parameters()) g.push_back(p.grad().clone());
    return g;
  };
  const TensorList a = gradients(true), b = gradients(false);
  for (size_t i = 0; i < a.size(); ++i) CHECK(equal(a[i], b[i]));
}

TEST_CASE("a cast weight follows steps, graphs that are freed, and gradient mode", "[autocast]") {
  Tensor w = full({1, 1}, 2.).requires_grad_(), x = ones({1, 1});
  SGD optimizer({w}, {.lr = 1});
  Autocast low(bf16);
  {
    NoGrad guard;  // cast without a graph first
    CHECK_FALSE(matmul(x, w).requires_grad());
  }
  for (double expected : {2., 1., 0.}) {  // a step inside the region
    Tensor y = matmul(x, w);
    CHECK(y.item() == expected);
    optimizer.zero_grad();
    y.sum().backward();  // frees the graph of this use
    REQUIRE(w.grad().defined());
    CHECK(w.grad().item() == 1);
    optimizer.step();
  }
  Tensor again = matmul(x, w), second = matmul(x, w);
  again.sum().backward();
  second.sum().backward();
  CHECK(w.grad().item() == 3);
}

TEST_CASE("a language model keeps at most 0.6 of the bytes for its backward pass", "[autocast]") {
  if (default_device().is_cuda()) return;  // counted there as here, and the simulator is slow
  GPT gpt({.vocabulary = 16, .context = 64, .dim = 64, .heads = 2, .layers = 2});
  gpt.to(default_device());
  const Tensor ids = whole({16, 64}, 16, 1).to(default_device());
  auto kept = [&](bool low) {
    std::optional<Autocast> guard;
    if (low) guard.emplace(bf16);
    const int64_t before = memory_stats(default_device()).live;
    const Tensor y = gpt.forward(ids);
    return double(memory_stats(default_device()).live - before);
  };
  const double wide = kept(false);
  CHECK(kept(true) < 0.6 * wide);
}

TEST_CASE("gradients under autocast are those of the rounded computation", "[autocast]") {
  const Tensor x = normal({3, 4}, 1, f32), w = normal({4, 2}, 2, f32);
  for (DType low : {f16, bf16}) {
    Tensor a = x.clone().requires_grad_(), b = w.clone().requires_grad_();
    {
      Autocast guard(low);
      square(matmul(a, b)).sum().backward();
    }
    CHECK(a.grad().dtype() == f32);
    const Tensor ah = x.to(low).to(f64), bh = w.to(low).to(f64), y = matmul(ah, bh).to(low).to(f64);
    const Tensor g = (2 * y).to(low).to(f64);
    const double unit = low == f16 ? 0x1p-10 : 0x1p-7;
    CHECK(difference(a.grad().to(f64), matmul(g, bh.t())) < 2 * unit);
    CHECK(difference(b.grad().to(f64), matmul(ah.t(), g)) < 2 * unit);
  }
}
