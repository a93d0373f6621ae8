// Exercise: a recurrence in a logarithm of rounds.
// Note: docs/notes/09c_mamba.md, exercise 1
//
// A first-order recurrence from h = 0,
//
//   h_t = a_t h_{t-1} + b_t
//
// looks as if each step had to wait for the one before. But a stretch of steps takes the h before it to a h + b after
// it, for one a and one b, and two stretches in a row are a stretch again:
//
//   (a, b) then (a', b')  =  (a' a, a' b + b')
//
// This product is associative, so stretches may be joined in any grouping. Hillis & Steele (1986): in round w = 1, 2,
// 4,
// ... every step t >= w joins the stretch that ends at t - w to its own; afterwards its stretch spans the last 2 w
// steps. When w has reached n, b holds every h. All steps of a round are joined at once, in a few operations on whole
// tensors.
//
// With a = 2 2 2 2 and b = 1 1 1 1 (h = 1 3 7 15):
//
//   round 1    a = 2 4 4  4    b = 1 3 3  3      step 3: 2 * 1 + 1, the last two steps from 0
//   round 2    a = 2 4 8 16    b = 1 3 7 15      step 3: 4 * 3 + 3; step 2: 4 * 1 + 3
//
// What the checks look at: one step; values; which stretch comes first; lengths that are no power of two; factors of 0
// (nothing may be divided by them); rounds (few operations, whatever n is); gradients.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// a, b [n] -> h [n], n at least 1.
Tensor associative_scan(const Tensor& a, const Tensor& b) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// x.narrow(0, 0, n - w) are all elements but the last w, x.narrow(0, w, n - w) all but the first w, and they fit one to
// another: element t - w stands beside element t. The first w elements stay as they are: cat({x.narrow(0, 0, w), ...},
// 0).
//]
//[ hint
// In a round, a and b are both made from the a and b before it. Compute the new b first, or keep the old a.
//]
//[ hint
// The stretch that ends at t - w comes first: new b_t = a_t b_{t-w} + b_t, new a_t = a_t a_{t-w}.
//]

namespace solution {
//[ solution
Tensor associative_scan(const Tensor& a_in, const Tensor& b_in) {
  Tensor a = a_in, b = b_in;
  const int64_t n = a.size(0);
  for (int64_t w = 1; w < n; w *= 2) {
    const auto early = [&](const Tensor& x) { return x.narrow(0, 0, n - w); };
    const auto late = [&](const Tensor& x) { return x.narrow(0, w, n - w); };
    b = cat({b.narrow(0, 0, w), late(a) * early(b) + late(b)}, 0);
    a = cat({a.narrow(0, 0, w), late(a) * early(a)}, 0);
  }
  return b;
}
//]
}  // namespace solution

//[ wrong
namespace step_by_step {
Tensor associative_scan(const Tensor& a, const Tensor& b) {
  std::vector<Tensor> h{b.narrow(0, 0, 1)};
  for (int64_t t = 1; t < a.size(0); ++t) h.push_back(a.narrow(0, t, 1) * h.back() + b.narrow(0, t, 1));
  return cat(h, 0);
}
}  // namespace step_by_step
namespace exchanged {
Tensor associative_scan(const Tensor& a_in, const Tensor& b_in) {
  Tensor a = a_in, b = b_in;
  const int64_t n = a.size(0);
  for (int64_t w = 1; w < n; w *= 2) {
    const auto early = [&](const Tensor& x) { return x.narrow(0, 0, n - w); };
    const auto late = [&](const Tensor& x) { return x.narrow(0, w, n - w); };
    b = cat({b.narrow(0, 0, w), early(a) * late(b) + early(b)}, 0);
    a = cat({a.narrow(0, 0, w), late(a) * early(a)}, 0);
  }
  return b;
}
}  // namespace exchanged
namespace factors_of_one_step {
Tensor associative_scan(const Tensor& a, const Tensor& b_in) {
  Tensor b = b_in;
  const int64_t n = a.size(0);
  for (int64_t w = 1; w < n; w *= 2)
    b = cat({b.narrow(0, 0, w), a.narrow(0, w, n - w) * b.narrow(0, 0, n - w) + b.narrow(0, w, n - w)}, 0);
  return b;
}
}  // namespace factors_of_one_step
namespace divided {
Tensor associative_scan(const Tensor& a, const Tensor& b) {
  const Tensor products = cumprod(a, 0);
  return products * cumsum(b / products, 0);
}
}  // namespace divided
namespace powers_of_two_only {
Tensor associative_scan(const Tensor& a, const Tensor& b) {
  int64_t n = 1;
  while (2 * n <= a.size(0)) n *= 2;
  const Tensor h = solution::associative_scan(a.narrow(0, 0, n), b.narrow(0, 0, n));
  return cat({h, b.narrow(0, n, a.size(0) - n)}, 0);
}
}  // namespace powers_of_two_only
//]

namespace {

using Function = decltype(&associative_scan);

void checks(Check& check, Function f) {
  auto on = [&](const char* property, const Tensor& a, const Tensor& b) {
    check.on(property, {{"a", a}, {"b", b}});
    const Samples as = a.to_vector<double>(), bs = b.to_vector<double>();
    Samples h;
    for (size_t t = 0; t < as.size(); ++t) h.push_back((t ? as[t] * h.back() : 0) + bs[t]);
    check.close(f(a, b), from_data(h, {int64_t(h.size())}), {1e-9, 1e-9}, "h");
  };
  on("one step", tensor({2}, f64), tensor({3}, f64));
  on("which stretch comes first", tensor({1, 2}, f64), tensor({1, 5}, f64));
  on("values", tensor({2, 2, 2, 2}, f64), ones({4}, f64));
  on("values", rand({16}, f64), randn({16}, f64));
  on("lengths that are no power of two", tensor({2, 2, 2}, f64), ones({3}, f64));
  for (int64_t n : {5, 7, 37, 100}) on("lengths that are no power of two", rand({n}, f64), randn({n}, f64));
  on("factors of 0", tensor({1, 0, 2, 0}, f64), tensor({1, 2, 3, 4}, f64));

  const Tensor a = rand({1000}, f64), b = randn({1000}, f64);
  check.on("rounds", {{"a, b", "1000 numbers"}});
  int64_t calls = 0;
  {
    Profile profile;
    f(a, b);
    for (const ProfileRow& row : profile.rows()) calls += row.calls;
  }
  check.holds(calls < 400, std::to_string(calls) + " operations on tensors", "less than 400 for 10 rounds");

  const Tensor x = rand({6}, f64);
  check.on("gradients", {{"a = b", x}});
  check.holds(gradcheck1([&](const Tensor& in) { return f(in, in); }, x), "the slopes found by central differences");
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = associative_scan,
              .solution = solution::associative_scan,
              .wrong = {{"the later stretch is taken first", "which stretch comes first", exchanged::associative_scan},
                        {"the factors are never joined", "values", factors_of_one_step::associative_scan},
                        {"steps beyond a power of two are left alone", "lengths that are no power of two",
                         powers_of_two_only::associative_scan},
                        {"one cumulative sum, divided by products", "factors of 0", divided::associative_scan},
                        {"a step at a time", "rounds", step_by_step::associative_scan}}});
}
