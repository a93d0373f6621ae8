// What a user can do wrong outside the inputs of one op (those are in tests/specs/): the type of the exception, and a
// message that says what was got, what was expected, and what to do.
#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/parallel.h"
#include "tests/catch.h"

using namespace ink;

namespace {

// Calls f and returns the message of the E it throws; anything else fails the test.
template <class E, class F> std::string message_of(F f) {
  try {
    f();
  } catch (const E& e) { return e.what(); } catch (const std::exception& e) {
    return std::string("another type: ") + e.what();
  }
  return "nothing was thrown";
}
#define SAYS(Type, part, ...) CHECK_THAT(message_of<Type>([&] { (void)(__VA_ARGS__); }), contains(part))

Tensor leaf(const Shape& shape, DType t = f32) { return ones(shape, t).requires_grad_(); }

}  // namespace

TEST_CASE("every type of error is an Error and a std::runtime_error", "[errors]") {
  CHECK_THROWS_AS(select(ones({2}), 0, 5), Error);
  CHECK_THROWS_AS(select(ones({2}), 0, 5), std::runtime_error);
}

TEST_CASE("reading elements the wrong way", "[errors]") {
  Tensor x = ones({2, 3});
  SAYS(ShapeError, "item: needs exactly one element; got shape [2, 3]", x.item());
  SAYS(ShapeError, "item: needs exactly one element; got shape [0]", zeros({0}).item());
  SAYS(ValueError, "item: the tensor is undefined", Tensor().item());
  SAYS(DTypeError, "data: wrong element type; got f64; the tensor holds f32", x.data<double>());
  SAYS(ShapeError,
       "span: the tensor is not contiguous; got shape [3, 2] with strides [1, 3]; hint: call contiguous() first",
       x.t().span<float>());
  SAYS(IndexError, "size: dim out of range; got 2; expected a dim in [-2, 1] for 2 dims", x.size(2));
  SAYS(IndexError, "select: index out of range; got 2; dim 0 has 2 elements", x[2]);
}

TEST_CASE("shapes that cannot be", "[errors]") {
  SAYS(ShapeError, "shape: too many dims; got 9; expected at most 8", Shape{1, 1, 1, 1, 1, 1, 1, 1, 1});
  SAYS(ShapeError, "negative size; got [2, -3]", zeros({2, -3}));
  SAYS(MemoryError, "more elements than fit memory; got [4611686018427387904, 4]", empty({int64_t(1) << 62, 4}));
  SAYS(MemoryError, "more elements than fit memory", empty({int64_t(1) << 62}, f64));
  SAYS(MemoryError, "", empty({int64_t(1) << 46}, f64));  // 512 TiB: no machine has them
  SAYS(ShapeError, "negative size", eye(-1));
  SAYS(ShapeError, "negative size", empty_like(zeros({0})).expand({-3}));
}

TEST_CASE("operands that do not fit", "[errors]") {
  Tensor a = ones({2, 3}), b = ones({4});
  SAYS(ShapeError, "add: shapes do not broadcast; got [2, 3] and [4]; expected equal sizes or 1 in dim 1", a + b);
  SAYS(ShapeError, "mul: shapes do not broadcast", a * b);
  SAYS(ShapeError, "lt: shapes do not broadcast", a < b);
  SAYS(ShapeError, "matmul: inner sizes differ; got [2, 3] and [2, 3]", matmul(a, a));
  SAYS(DTypeError, "lt: dtype not supported; got c64; expected one of", to(a, c64) < a);
  SAYS(DTypeError, "max: dtype not supported; got c64", max(to(a, c64)));
  SAYS(DTypeError, "sort: dtype not supported; got c64", sort(to(a, c64)));
  SAYS(ValueError, "topk: k out of range; got 4; expected at most 3, the size of dim 1", topk(a, 4));
  SAYS(ShapeError, "max: nothing to reduce", max(zeros({0})));
  SAYS(ShapeError, "argmin: nothing to reduce in dim 0; got shape [0, 2]", argmin(zeros({0, 2}), 0));
  SAYS(ShapeError, "max: nothing to reduce", max(zeros({2, 0}), 1));
  SAYS(LinalgError, "inverse: matrix 0 of the batch is singular", inverse(zeros({2, 2})));
  SAYS(LinalgError, "cholesky: matrix 1 of the batch is not positive definite", cholesky(stack({eye(2), -eye(2)})));
}

TEST_CASE("devices that are not there", "[errors]") {
  SAYS(ValueError, "tpu", Device::parse("tpu"));
  SAYS(ValueError, "cuda:x", Device::parse("cuda:x"));
  CHECK(Device::parse("cuda:1") == Device::cuda(1));
  SAYS(DeviceError, "cuda:99", zeros({2}, Device::cuda(99)));
  SAYS(DeviceError, "cuda:99", ones({2}).to(Device::cuda(99)));
  SAYS(DeviceError, "cuda:99", memory_stats(Device::cuda(99)));
}

TEST_CASE("options out of range", "[errors]") {
  SAYS(ValueError, "set_num_threads", set_num_threads(0));
  SAYS(ValueError, "dropout: p must lie in [0, 1]; got -0.5", dropout(ones({2}), -0.5));
  SAYS(ValueError, "flatten: first dim after last", flatten(ones({2, 3}), 1, 0));
  SAYS(ValueError, "slice: step must be positive; got 0", ones({3}).index({Slice(0, 2, 0)}));
}

TEST_CASE("misuse of gradients", "[errors]") {
  SAYS(GradError, "i64", arange(3).requires_grad_());
  Tensor x = leaf({2});
  SAYS(GradError, "", (x * 2).requires_grad_(false));
  SAYS(GradError, "", (x * 2).backward());    // two elements, no gradient given
  SAYS(GradError, "", ones({1}).backward());  // nothing to differentiate
  SAYS(GradError, "", grad(ones({1}), x));    // does not depend on x
  SAYS(GradError, "", grad(leaf({1}).sum(), x));
  SAYS(GradError, "", grad(x.sum(), ones({2})));  // not a leaf that requires a gradient
  SAYS(Error, "", (x * 2).backward(ones({3})));   // a gradient of the wrong shape
  Tensor y = (x * x).sum();
  y.backward();
  SAYS(GradError, "retain_graph", y.backward());
  NoGrad guard;
  SAYS(GradError, "", (x * 2).sum().backward());
}

TEST_CASE("a failed op leaves nothing behind", "[errors]") {
  int64_t live = memory_stats().live;
  {
    Tensor x = leaf({2, 3});
    CHECK_THROWS_AS(matmul(x, x), ShapeError);
    CHECK_THROWS_AS(cat({x, ones({2, 4})}), ShapeError);
    CHECK_THROWS_AS(inverse(zeros({2, 2})), LinalgError);
    CHECK((x * 2).sum().item() == 12);
  }
  CHECK(memory_stats().live == live);
}

TEST_CASE("an undefined tensor is refused, not followed", "[errors]") {
  const Tensor none;
  CHECK_THROWS_AS(exp(none), ValueError);
  CHECK_THROWS_WITH(none.shape(), contains("undefined"));
  CHECK_THROWS_WITH(none + ones({2}), contains("undefined"));
  CHECK_THROWS_WITH(matmul(ones({2, 2}), none), contains("undefined"));
}

TEST_CASE("bool tensors have no sign", "[errors]") {
  const Tensor yes = ones({2}, boolean);
  CHECK_THROWS_WITH(-yes, contains("neg: got bool") && contains("logical_not"));
  CHECK_THROWS_WITH(yes - yes, contains("sub: got bool") && contains("logical_xor"));
}

TEST_CASE("a pooling window that covers padding only is refused", "[errors]") {
  CHECK_THROWS_WITH(max_pool2d(ones({1, 1, 2, 2}), {.kernel = 2, .padding = 1, .dilation = 3}),
                    contains("covers padding only"));
}
