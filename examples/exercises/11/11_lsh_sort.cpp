// Exercise: Reformer's hash, and the order in which tokens meet.
// Note: docs/notes/11_efficient_attention.md, exercise 2
//
// A softmax is ruled by its largest scores, so a token need only meet keys that point in its own direction. A hash
// finds them without comparing all pairs (Andoni et al. 2015; Kitaev et al. 2020, section 2). Take b / 2 random
// directions, the columns of R [d, b / 2], and put x into the bucket of the one that it is nearest to, where the
// opposite of a direction is a direction of its own:
//
//   h(x) = argmax [x R, -x R]          a number in [0, b)
//
// It depends on the direction of x only, and of two vectors that are close one rarely finds another bucket. Then tokens
// are sorted by (bucket, position), and attention runs along that order in short pieces. With R = identity for d = 2, b
// = 4, the buckets are right, up, left, down:
//
//   x        (3, 1)   (0, -2)   (1, 0)   (-5, 4)   (1, -3)
//   [xR,-xR] 3 1 -3 -1   0 -2 0 2   1 0 -1 0   -5 4 5 -4   1 -3 -1 3
//   bucket   0        3         0        2         3
//   order    0 2 3 1 4                             bucket 0: tokens 0, 2; bucket 2: token 3; bucket 3: tokens 1, 4
//
// Inside a bucket the order must be that of the text: a causal mask is later laid over positions.
//
// What the checks look at: buckets; opposite vectors; order; length does not matter; many equal buckets.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
struct Hashed {
  Tensor bucket;  // i64 [n], the bucket of each token
  Tensor order;   // i64 [n], the tokens sorted by bucket, and by position within one
};

// x [n, d], r [d, b / 2].
Hashed lsh_sort(const Tensor& x, const Tensor& r) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// cat({a, b}, 1) puts two matrices side by side; argmax(x, 1) is the column of each row's largest entry.
//]
//[ hint
// argsort(bucket) gives an order. So that position decides between equal buckets, sort keys that are all different:
// bucket * n + position. (The library's sort is stable, so that bucket alone would do; not every sort is.)
//]

namespace solution {
//[ solution
Hashed lsh_sort(const Tensor& x, const Tensor& r) {
  const int64_t n = x.size(0);
  Tensor along = matmul(x, r);
  Tensor bucket = argmax(cat({along, -along}, 1), 1);
  return {bucket, argsort(bucket * n + arange(n))};
}
//]
}  // namespace solution

//[ wrong
namespace without_sign {
Hashed lsh_sort(const Tensor& x, const Tensor& r) {
  Tensor bucket = argmax(abs(matmul(x, r)), 1);
  return {bucket, argsort(bucket)};
}
}  // namespace without_sign
namespace signs_as_bits {
Hashed lsh_sort(const Tensor& x, const Tensor& r) {
  Tensor along = matmul(x, r), bucket = zeros({x.size(0)}, i64);
  for (int64_t c = 0; c < r.size(1); ++c) bucket = bucket * 2 + (along.select(1, c) < 0).to(i64);
  return {bucket, argsort(bucket)};
}
}  // namespace signs_as_bits
namespace rank_for_order {
Hashed lsh_sort(const Tensor& x, const Tensor& r) {
  Hashed h = solution::lsh_sort(x, r);
  return {h.bucket, argsort(h.order)};
}
}  // namespace rank_for_order
namespace last_first {
Hashed lsh_sort(const Tensor& x, const Tensor& r) {
  Hashed h = solution::lsh_sort(x, r);
  return {h.bucket, argsort(h.bucket * x.size(0) - arange(x.size(0)))};
}
}  // namespace last_first
//]

namespace {

using Function = decltype(&lsh_sort);

// The definition in plain loops.
Hashed by_definition(const Tensor& x, const Tensor& r) {
  const int64_t n = x.size(0), half = r.size(1);
  std::vector<int64_t> buckets, order;
  for (int64_t i = 0; i < n; ++i) {
    int64_t best = 0;
    auto along = [&](int64_t b) { return (b < half ? 1 : -1) * dot(x[i], r.select(1, b % half)).item(); };
    for (int64_t b = 1; b < 2 * half; ++b)
      if (along(b) > along(best)) best = b;
    buckets.push_back(best);
  }
  for (int64_t b = 0; b < 2 * half; ++b)
    for (int64_t i = 0; i < n; ++i)
      if (buckets[size_t(i)] == b) order.push_back(i);
  return {from_data(buckets, {n}), from_data(order, {n})};
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& x, const Tensor& r, bool order) {
    check.on(property, {{"x", x}, {"r", r}});
    Hashed got = f(x, r), expected = by_definition(x, r);
    check.close(got.bucket, expected.bucket, "bucket");
    if (order) check.close(got.order, expected.order, "order");
  };
  const Tensor axes = eye(2, f64);
  on("buckets", matrix({{3, 1}}), axes, false);
  on("buckets", matrix({{3, 1}, {1, 3}}), axes, false);
  on("opposite vectors", matrix({{3, 1}, {-3, -1}}), axes, false);
  on("opposite vectors", matrix({{3, 1}, {0, -2}, {1, 0}, {-5, 4}, {1, -3}}), axes, false);
  on("order", matrix({{0, 2}, {2, 0}, {-2, 0}, {0, 1}}), axes, true);
  on("order", matrix({{0, 2}, {-2, 0}, {2, 0}}), axes, true);
  on("order", matrix({{0, -2}, {0, 2}, {2, 0}, {0, 1}}), axes, true);
  Tensor x = randn({50, 8}, f64), r = randn({8, 4}, f64);
  check.on("length does not matter", {{"x", x}, {"r", r}});
  check.close(f(x * 100, r).bucket, f(x, r).bucket, "bucket of 100 x");
  on("many equal buckets", ones({6, 2}, f64), axes, true);
  on("many equal buckets", x, r, true);
  on("many equal buckets", randn({300, 4}, f64), randn({4, 1}, f64), true);
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = lsh_sort,
              .solution = solution::lsh_sort,
              .wrong = {{"the nearest axis, without its sign", "opposite vectors", without_sign::lsh_sort},
                        {"one bit a direction", "buckets", signs_as_bits::lsh_sort},
                        {"where each token goes, not which comes", "order", rank_for_order::lsh_sort},
                        {"later tokens of a bucket first", "order", last_first::lsh_sort}}});
}
