// Exercise: the delta rule, a memory that replaces what stands under a key.
// Note: docs/notes/09d_linear_rnn.md, exercise 2
//
// A matrix S [d, dv] holds values by keys: reading under a key of length 1 is S^T k. Linear attention adds k v^T, and a
// key that comes again reads the sum of all its values. The delta rule (Widrow & Hoff 1960; Schlag et al. 2021) reads
// first, and writes only what is missing, beta of it:
//
//   S_t = alpha S_{t-1} + beta k_t (v_t - alpha S_{t-1}^T k_t)^T,   o_t = S_t^T q_t
//
// with alpha in (0, 1] per step: all that was stored fades first (Gated DeltaNet, Yang et al. 2025).
//
// With d = 2, dv = 1, alpha = beta = 1 and q = k:
//
//   token 1    k = (1, 0), v = 5    S = (5, 0)    o = 5
//   token 2    k = (0, 1), v = 7    S = (5, 7)    o = 7
//   token 3    k = (1, 0), v = 2    S = (2, 7)    o = 2      the 5 is gone
//
// What the checks look at: orthogonal keys; a key that comes again; half of it; keys that lean on each other; what
// fades; causality; gradients.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// q, k [n, d], the rows of k of length 1; v [n, dv]; alpha, beta [n] -> o [n, dv]. S is 0 before the first step.
Tensor delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& alpha, const Tensor& beta) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// One step a row: k[t] is [d], v[t] is [dv], alpha[t] and beta[t] are tensors of one number, by which S may be
// multiplied. S begins as zeros({d, dv}, v.options()).
//]
//[ hint
// Let S fade first, S = alpha[t] * S. Then what stands under the key is matmul(k[t], S), [dv].
//]
//[ hint
// outer(a, b) is the matrix a b^T: S = S + beta[t] * outer(k[t], v[t] - read). The output is matmul(q[t], S), after the
// writing.
//]

namespace solution {
//[ solution
Tensor delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& alpha, const Tensor& beta) {
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t t = 0; t < q.size(0); ++t) {
    s = alpha[t] * s;
    const Tensor read = matmul(k[t], s);
    s = s + beta[t] * outer(k[t], v[t] - read);
    out.push_back(matmul(q[t], s));
  }
  return stack(out, 0);
}
//]
}  // namespace solution

//[ wrong
namespace only_added {
Tensor delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& alpha, const Tensor& beta) {
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t t = 0; t < q.size(0); ++t) {
    s = alpha[t] * s + beta[t] * outer(k[t], v[t]);
    out.push_back(matmul(q[t], s));
  }
  return stack(out, 0);
}
}  // namespace only_added
namespace read_before_fading {
Tensor delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& alpha, const Tensor& beta) {
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t t = 0; t < q.size(0); ++t) {
    s = alpha[t] * s + beta[t] * outer(k[t], v[t] - matmul(k[t], s));
    out.push_back(matmul(q[t], s));
  }
  return stack(out, 0);
}
}  // namespace read_before_fading
namespace erased_whole {
Tensor delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& alpha, const Tensor& beta) {
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t t = 0; t < q.size(0); ++t) {
    s = alpha[t] * s;
    s = s + outer(k[t], beta[t] * v[t] - matmul(k[t], s));
    out.push_back(matmul(q[t], s));
  }
  return stack(out, 0);
}
}  // namespace erased_whole
namespace output_before_write {
Tensor delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& alpha, const Tensor& beta) {
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t t = 0; t < q.size(0); ++t) {
    out.push_back(matmul(q[t], s));
    s = alpha[t] * s;
    s = s + beta[t] * outer(k[t], v[t] - matmul(k[t], s));
  }
  return stack(out, 0);
}
}  // namespace output_before_write
namespace gradient_of_reading_cut {
Tensor delta_rule(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& alpha, const Tensor& beta) {
  Tensor s = zeros({k.size(1), v.size(1)}, v.options());
  std::vector<Tensor> out;
  for (int64_t t = 0; t < q.size(0); ++t) {
    s = alpha[t] * s;
    s = s + beta[t] * outer(k[t], v[t] - matmul(k[t], s).detach());
    out.push_back(matmul(q[t], s));
  }
  return stack(out, 0);
}
}  // namespace gradient_of_reading_cut
//]

namespace {

using Function = decltype(&delta_rule);

// In plain numbers: entry by entry.
Tensor entry_by_entry(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& alpha, const Tensor& beta) {
  const int64_t n = q.size(0), d = k.size(1), width = v.size(1);
  const Samples keys = k.to_vector<double>(), queries = q.to_vector<double>(), values = v.to_vector<double>(),
                fade = alpha.to_vector<double>(), strength = beta.to_vector<double>();
  Samples s(size_t(d * width), 0), out;
  for (int64_t t = 0; t < n; ++t)
    for (int64_t j = 0; j < width; ++j) {
      double read = 0, o = 0;
      for (int64_t i = 0; i < d; ++i) read += keys[size_t(t * d + i)] * fade[size_t(t)] * s[size_t(i * width + j)];
      for (int64_t i = 0; i < d; ++i) {
        double& entry = s[size_t(i * width + j)];
        entry = fade[size_t(t)] * entry +
                strength[size_t(t)] * keys[size_t(t * d + i)] * (values[size_t(t * width + j)] - read);
        o += queries[size_t(t * d + i)] * entry;
      }
      out.push_back(o);
    }
  return from_data(std::span<const double>(out), {n, width});
}

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& alpha,
                const Tensor& beta) {
    check.on(property, {{"q", q}, {"k", k}, {"v", v}, {"alpha", alpha}, {"beta", beta}});
    check.close(f(q, k, v, alpha, beta), entry_by_entry(q, k, v, alpha, beta), {1e-9, 1e-9}, "o");
  };
  const auto same = [](double x, int64_t n) { return full({n}, x, f64); };
  const Tensor two = matrix({{1, 0}, {0, 1}}), again = matrix({{1, 0}, {0, 1}, {1, 0}});
  on("orthogonal keys", two, two, matrix({{5}, {7}}), same(1, 2), same(1, 2));
  on("a key that comes again", again, again, matrix({{5}, {7}, {2}}), same(1, 3), same(1, 3));
  on("half of it", again, again, matrix({{5}, {7}, {2}}), same(1, 3), same(0.5, 3));
  const Tensor leaning = matrix({{1, 0}, {0.6, 0.8}, {0.8, -0.6}});
  on("keys that lean on each other", leaning, leaning, matrix({{1, 2}, {3, 4}, {5, 6}}), same(1, 3), same(1, 3));
  on("what fades", again, again, matrix({{8}, {4}, {2}}), same(0.5, 3), same(1, 3));
  on("what fades", again, again, matrix({{8}, {4}, {2}}), same(0.5, 3), same(0.25, 3));
  const Tensor x = randn({6, 3}, f64), unit = x / norm(x, {1}, true);
  on("what fades", randn({6, 3}, f64), unit, randn({6, 2}, f64), 0.5 + 0.5 * rand({6}, f64), rand({6}, f64));
  check.on("causality", {{"q = k = v", x}});
  check.holds(verify::causality([&](const Tensor& in) { return f(in, in, in, same(0.9, 6), same(0.5, 6)); }, unit, 0),
              "row t depends on tokens 0 .. t only");
  const Tensor short_x = unit.narrow(0, 0, 4).clone();
  check.on("gradients", {{"q = k = v", short_x}});
  check.holds(gradcheck1([&](const Tensor& in) { return f(in, in, in, same(0.9, 4), same(0.5, 4)); }, short_x),
              "the slopes found by central differences");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = delta_rule,
              .solution = solution::delta_rule,
              .wrong = {{"nothing is erased", "a key that comes again", only_added::delta_rule},
                        {"the output is read before the write", "orthogonal keys", output_before_write::delta_rule},
                        {"beta on the new value only", "half of it", erased_whole::delta_rule},
                        {"what is erased has not faded", "what fades", read_before_fading::delta_rule},
                        {"no gradient through what was read", "gradients", gradient_of_reading_cut::delta_rule}}});
}
