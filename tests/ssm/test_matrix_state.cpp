// The matrix state: its forms, pieces, large decays, the delta rule, gradients, bad input.
#include "nn/ssm/matrix_state.h"

#include <cmath>

#include "autograd/observe/gradcheck.h"
#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;

namespace {

double largest(const Tensor& x) { return x.numel() ? max(abs(x)).item() : 0; }
double error(const Tensor& a, const Tensor& b) { return largest(a - b) / std::max(1e-300, largest(b)); }

struct Variant {
  const char* name;
  bool per_step, per_key, erases;
};
MatrixStateInputs inputs_of(const Variant& v, int64_t n, DType t = f64) {
  manual_seed(3);
  const Options options(t, default_device());
  MatrixStateInputs in;
  in.q = randn({2, 3, n, 4}, options), in.v = randn({2, 3, n, 5}, options);
  Tensor k = randn({2, 3, n, 4}, options);
  in.k = k / norm(k, {-1}, true);
  if (v.per_step) in.log_decay = -rand({2, 3, n}, options) * 3;
  if (v.per_key) in.log_decay = -rand({2, 3, n, 4}, options) * 3;
  if (v.erases) {
    const Tensor beta = rand({2, 3, n, 1}, options);
    in.erase = -beta * in.k, in.read = in.k, in.k = beta * in.k;
  }
  return in;
}
const Variant kVariants[] = {{"no decay", false, false, false},       {"a decay per step", true, false, false},
                             {"a decay per key", false, true, false}, {"delta rule", false, false, true},
                             {"gated delta rule", true, false, true}, {"delta rule, decay per key", false, true, true}};

}  // namespace

TEST_CASE("the matrix state: all forms agree, from a start, for any chunk", "[matrix_state]") {
  for (const Variant& v : kVariants)
    for (int64_t n : {1, 2, 7, 20}) {
      INFO(v.name << ", n = " << n);
      const MatrixStateInputs in = inputs_of(v, n);
      const Tensor start = randn({2, 3, 4, 5}, in.q.options());
      Tensor reference_state = start.clone();
      const Tensor reference = matrix_state(in, reference_state, {.form = StateForm::recurrent});
      const auto same = [&](StateForm form, int64_t chunk) {
        Tensor state = start.clone();
        const Tensor out = matrix_state(in, state, {.form = form, .chunk = chunk});
        CHECK(error(out, reference) < 1e-10);
        CHECK(error(state, reference_state) < 1e-10);
      };
      same(StateForm::parallel, 1);
      for (int64_t chunk : {1, 2, 7, 16}) same(StateForm::chunked, chunk);
    }
}

TEST_CASE("the matrix state goes on where it stopped, and a later token changes no earlier output", "[matrix_state]") {
  const MatrixStateInputs in = inputs_of(kVariants[5], 11);
  const auto part = [&](int64_t from, int64_t to) {
    const auto cut = [&](const Tensor& x) { return slice(x, 2, from, to); };
    return MatrixStateInputs{cut(in.q), cut(in.k), cut(in.v), cut(in.log_decay), cut(in.erase), cut(in.read)};
  };
  Tensor whole_state, state;
  const Tensor whole = matrix_state(in, whole_state);
  const Tensor first = matrix_state(part(0, 4), state), rest = matrix_state(part(4, 11), state);
  CHECK(error(cat({first, rest}, 2), whole) < 1e-11);
  CHECK(error(state, whole_state) < 1e-11);
  MatrixStateInputs other = in;
  other.v = cat({slice(in.v, 2, 0, 10), slice(in.v, 2, 10, 11) + 1}, 2);
  Tensor fresh;
  CHECK(equal(slice(matrix_state(other, fresh), 2, 0, 10), slice(whole, 2, 0, 10)));
}

TEST_CASE("the matrix state: large decays give no NaN, in f32 neither", "[matrix_state]") {
  for (DType t : {f64, f32})
    for (const Variant& v : kVariants) {
      if (!v.per_step && !v.per_key) continue;
      MatrixStateInputs in = inputs_of(v, 20, t);
      in.log_decay = in.log_decay * 300;
      Tensor by_steps, by_chunks;
      const Tensor reference = matrix_state(in, by_steps, {.form = StateForm::recurrent}),
                   out = matrix_state(in, by_chunks);
      INFO(v.name);
      CHECK(all(isfinite(out)).item<bool>());
      CHECK(error(out, reference) < (t == f64 ? 1e-10 : 1e-4));
    }
}

TEST_CASE("the delta rule stores orthonormal keys exactly, and a key that comes again is overwritten",
          "[matrix_state]") {
  const int64_t n = 4;
  const Tensor keys = cat({eye(n, f64), eye(n, f64)}, 0), values = randn({2 * n, 3}, f64);
  const auto shaped = [](const Tensor& x) { return x.reshape({1, 1, x.size(0), x.size(1)}); };
  Tensor state;
  matrix_state({.q = shaped(keys),
                .k = shaped(keys),
                .v = shaped(values),
                .log_decay = {},
                .erase = shaped(-keys),
                .read = shaped(keys)},
               state);
  CHECK(error(state.reshape({n, 3}), slice(values, 0, n, 2 * n)) < 1e-13);
  Tensor sums;  // without erasing, the old value stays under the new one
  matrix_state({.q = shaped(keys), .k = shaped(keys), .v = shaped(values), .log_decay = {}, .erase = {}, .read = {}},
               sums);
  CHECK(error(sums.reshape({n, 3}), slice(values, 0, 0, n) + slice(values, 0, n, 2 * n)) < 1e-13);
}

TEST_CASE("the matrix state has gradients to second order", "[matrix_state]") {
  const MatrixStateInputs in = inputs_of(kVariants[5], 3);
  const auto small = [](const Tensor& x) { return slice(slice(x, 0, 0, 1), 1, 0, 1).clone().requires_grad_(); };
  const TensorList leaves{small(in.q),
                          small(in.k),
                          small(in.v),
                          small(in.log_decay),
                          small(in.erase),
                          small(in.read),
                          small(randn({1, 1, 4, 5}, in.q.options()))};
  const auto f = [](const TensorList& x) {
    Tensor state = x[6];
    Tensor out = matrix_state({x[0], x[1], x[2], x[3], x[4], x[5]}, state, {.chunk = 2});
    return TensorList{out, state};
  };
  CHECK(gradcheck(f, leaves));
  CHECK(gradgradcheck(f, leaves));
}

TEST_CASE("the matrix state says what does not fit", "[matrix_state]") {
  const MatrixStateInputs in = inputs_of(kVariants[3], 3);
  Tensor state = zeros({2, 3, 5, 4}, in.q.options());
  CHECK_THROWS_AS(matrix_state(in, state), ShapeError);
  Tensor none;
  CHECK_THROWS_AS(matrix_state(in, none, {.chunk = 0}), ValueError);
  MatrixStateInputs half = in;
  half.read = {};
  CHECK_THROWS_AS(matrix_state(half, none), ValueError);
}

TEST_CASE("the matrix state: decays per key of thousands give finite gradients in every form", "[ssm][grad]") {
  for (auto form : {StateForm::recurrent, StateForm::parallel, StateForm::chunked})
    for (int64_t n : {5, 7, 13, 16}) {
      const auto leaf = [&](int64_t width) { return randn({1, 1, n, width}, f32).requires_grad_(); };
      const Tensor q = leaf(3), k = leaf(3), v = leaf(2), decay = (-3000 * rand({1, 1, n, 3})).requires_grad_();
      Tensor state;
      matrix_state({.q = q, .k = k, .v = v, .log_decay = decay, .erase = -0.5 * k, .read = k}, state, {.form = form})
          .sum()
          .backward();
      for (const Tensor& x : {q, k, v, decay}) CHECK(all(isfinite(x.grad())).item<bool>());
    }
}
