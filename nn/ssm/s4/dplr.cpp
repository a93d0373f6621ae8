// Kernel and step of diagonal plus low rank systems.
#include "nn/ssm/s4/dplr.h"

#include <fmt/format.h>

#include <numbers>
#include <vector>

#include "autograd/ops.h"

namespace ink {
namespace {

// The roots of unity z_l = e^{-i theta_l}, l = 0 .. length / 2, by half their angles: with 2 e^{-i theta / 2} taken
// out, 1 - z is i sin(theta / 2) and 1 + z is cos(theta / 2), which is 0 at z = -1.
struct HalfAngles {
  Tensor sine, cosine;
};
HalfAngles half_angles(int64_t length, const Options& options) {
  const Tensor half = arange(0, length / 2 + 1, 1, {f64, options.device}) * (std::numbers::pi / double(length));
  return {sin(half).to(options), cos(half).to(options)};
}

// For every pair of a left and a right vector, sum over n of left_n right_n / (i sine - q lambda_n), n running over
// both conjugates: left [.., l, pairs], right [.., r, pairs], q [.., nodes] -> [.., l, r, nodes], complex. A term and
// its conjugate together are (2 i sine Re a - 2 q Re(a conj lambda)) / ((i sine - q lambda)(i sine - q conj lambda)).
Tensor cauchy(const Tensor& left, const Tensor& right, const Tensor& lambda, const Tensor& sine, const Tensor& q) {
  const Tensor products = unsqueeze(left, -2) * unsqueeze(right, -3);  // [.., l, r, pairs]
  const Tensor turned = products * conj(unsqueeze(unsqueeze(lambda, -2), -2));
  const Tensor i_sine = complex_of(zeros_like(sine), sine), ql = unsqueeze(q, -2) * unsqueeze(lambda, -1);
  const Tensor both =
      1 / ((i_sine - ql) * (i_sine - unsqueeze(q, -2) * unsqueeze(conj(lambda), -1)));  // [.., pairs, nodes]
  Shape flat = products.shape();
  const int64_t count = flat[flat.size() - 3] * flat[flat.size() - 2];
  const auto sums = [&](const Tensor& a) {  // over n, of 2 Re a and `both`: [.., l r, nodes]
    Shape rows(flat.begin(), flat.end() - 3);
    rows.push_back(count), rows.push_back(flat[flat.size() - 1]);
    const Tensor weights = 2 * real(reshape(a, rows));
    return complex_of(matmul(weights, real(both)), matmul(weights, imag(both)));
  };
  const Tensor total = i_sine * sums(products) - unsqueeze(q, -2) * sums(turned);
  Shape out(flat.begin(), flat.end() - 1);
  out.push_back(sine.size(-1));
  return reshape(total, out);
}

// Schur complement of all rows but the first: M_00 - M_0p M_pp^{-1} M_p0 for M [.., k, k, nodes], by elimination from
// the last row on. Without exchanges: M_pp is 1 plus a matrix whose hermitian part is positive, as the system loses
// energy.
Tensor first_schur_complement(const Tensor& M) {
  const int64_t k = M.size(-3);
  std::vector<std::vector<Tensor>> m;
  for (int64_t i = 0; i < k; ++i) {
    m.emplace_back();
    for (int64_t j = 0; j < k; ++j) m.back().push_back(select(select(M, -3, i), -2, j));
  }
  for (size_t p = size_t(k) - 1; p > 0; --p)
    for (size_t i = 0; i < p; ++i)
      for (size_t j = 0; j < p; ++j) m[i][j] = m[i][j] - m[i][p] * m[p][j] / m[p][p];  // (9.40)
  return m[0][0];
}

Tensor both_conjugates(const Tensor& x) { return cat({x, conj(x)}, -1); }
// 2 Re sum conj(P) x: P^* x over both conjugates, [.., rank].
Tensor low_rank_read(const Tensor& P, const Tensor& x) { return 2 * real(sum(conj(P) * unsqueeze(x, -2), {-1})); }

}  // namespace

DenseSystem dense(const Dplr& s) {
  const Tensor lambda = both_conjugates(s.lambda), P = both_conjugates(s.P);
  const Tensor one = eye(lambda.size(-1), {real_of(lambda.dtype()), lambda.device()});
  return {unsqueeze(lambda, -1) * one - matmul(transpose(P, -2, -1), conj(P)), both_conjugates(s.B),
          s.C.defined() ? both_conjugates(s.C) : s.C};
}

Tensor dplr_kernel(const Dplr& s, const Tensor& step, int64_t length) {
  if (length < 1) throw ValueError(fmt::format("dplr_kernel: got a length of {}; expected at least 1", length));
  // In f64: next to an eigenvalue of Lambda both terms are large and nearly cancel, most of all for a kind whose modes
  // hardly decay.
  if (step.dtype() != f64)
    return dplr_kernel({s.lambda.to(c128), s.P.to(c128), s.B.to(c128), s.C.to(c128)}, step.to(f64), length)
        .to(step.dtype());
  const HalfAngles angle = half_angles(length, step.options());
  const Tensor q = unsqueeze(step, -1) * angle.cosine / 2;  // Delta (1 + z) / 2 without the factor taken out
  const Tensor left = cat({unsqueeze(s.C, -2), conj(s.P)}, -2), right = cat({unsqueeze(s.B, -2), s.P}, -2);
  const Tensor k = cauchy(left, right, s.lambda, angle.sine, q);  // (9.39)
  // [[k_CB, k_CP], [q k_PB, 1 + q k_PP]]: its Schur complement is k_CB - q k_CP (1 + q k_PP)^{-1} k_PB
  const int64_t rank = s.P.size(-2);
  Tensor one = eye(rank + 1, step.options()), below = ones({rank + 1, 1, 1}, step.options());
  one[0][0].zero_(), below[0].zero_();
  const Tensor rows = 1 - below + below * unsqueeze(unsqueeze(q, -2), -2);
  const Tensor bracket = first_schur_complement(unsqueeze(one, -1) + rows * k);
  const Tensor turn = complex_of(angle.cosine, angle.sine) / 2;  // e^{i theta / 2} / 2, what was taken out
  return irfft(unsqueeze(step, -1) * turn * bracket, length);    // (9.41)
}

DplrStep::DplrStep(const Dplr& s, const Tensor& step) : P_(s.P) {
  const Tensor twice = 2 / unsqueeze(step, -1);
  before_ = twice + s.lambda;         // of A_0 = 2 / Delta + Lambda - P P^*
  inverse_ = 1 / (twice - s.lambda);  // D = (2 / Delta - Lambda)^{-1}
  const Tensor DP = unsqueeze(inverse_, -2) * s.P;
  // P^* D P over both conjugates, [.., rank, rank], real
  const Tensor PDP = 2 * real(matmul(conj(s.P), transpose(DP, -2, -1)));
  const Tensor one = eye(s.P.size(-2), PDP.options());
  correction_ = matmul(transpose(inverse(one + PDP), -2, -1).to(DP.dtype()), DP);  // (1 + P^* D P)^{-1} by rows of D P
  B_ = 2 * s.B;
}

Tensor DplrStep::operator()(const Tensor& x, const Tensor& u) const {
  const auto low_rank = [](const Tensor& weight, const Tensor& rows) {  // sum over the rank
    return sum(unsqueeze(weight, -1) * rows, {-2});
  };
  const Tensor v = before_ * x - low_rank(low_rank_read(P_, x), P_) + B_ * unsqueeze(u, -1);  // A_0 x + 2 B u
  const Tensor z = inverse_ * v;
  return z - low_rank(low_rank_read(P_, z), correction_);  // A_1 v  (9.42)
}

}  // namespace ink
