// From a memory to a layer: a kernel by four roads, why HiPPO is not diagonalised, S4, S4D, RTF, and digits pixel by
// pixel
#include <fmt/format.h>

#include <algorithm>

#include "examples/09b_s4/layers.h"
#include "examples/09b_s4/nets.h"
#include "examples/09b_s4/roads.h"
#include "examples/09b_s4/steps.h"

using namespace ink;
using namespace ink::lesson;

namespace {

void a_memory_that_fades(Lesson& lesson) {
  lesson.section("1. LegS without 1/t",
                 R"(x' = A x + B u \;\Rightarrow\; x_n(t) = e^{-t} \sqrt{2n+1}\, P_n(2 e^{-t} - 1))",
                 "Gu et al. 2022b, Su 2024, kexue.fm 10162");
  const Hippo h = hippo(HippoKind::legs, 6);
  std::vector<Series> curves;
  double worst = 0;
  for (int64_t n = 0; n < 4; ++n) curves.push_back({.name = fmt::format("x_{}", n)});
  for (double t = 0; t < 6; t += 0.1) {
    const Tensor x = matmul(matrix_exp(h.A * t), h.B);
    const Tensor s = full({1}, std::exp(-t), doubles());
    const Tensor closed = std::exp(-t) * hippo_basis(h, s)[0];  // sqrt(2n + 1) P_n(2s - 1) is the basis  (9.25)
    worst = std::max(worst, largest(x - closed));
    for (size_t n = 0; n < 4; ++n) curves[n].x.push_back(t), curves[n].y.push_back(x[int64_t(n)].item());
  }
  lesson.plot("impulse", curves,
              {.x = "time since the impulse",
               .y = "coordinate",
               .caption = "Legendre polynomials in $e^{-t}$: all fade as $e^{-t}$."});
  lesson.expect("the state after an impulse is a Legendre polynomial of e^-t: largest difference", worst, Below{1e-9});
}

void a_kernel(Lesson& lesson, const Legs& s, int64_t length) {
  lesson.section("2. Steps, and a convolution", R"(y_k = \sum_j C \bar A^j \bar B\, u_{k-j})",
                 "Gu et al. 2021, section 2");
  recurrence_beside_convolution(lesson);
  kernel_tap_by_tap(lesson);
  const Tensor u = randn({length}, doubles()), K = by_powers(s, length);
  Tensor x = zeros({s.n}, doubles());
  std::vector<Tensor> y;
  for (int64_t k = 0; k < length; ++k) {
    x = matmul(s.bar.A, x) + s.bar.B * u[k];  // (9.26)
    y.push_back(dot(s.C, x));
  }
  lesson.expect("recurrence and convolution by FFT: relative difference",
                distance(causal_convolution(u, K), stack(y, 0)), Below{1e-10});
  const Tensor later = u.clone();
  later[length / 2].copy_(full({}, 100, doubles()));
  const Tensor moved = abs(causal_convolution(later, K) - causal_convolution(u, K));
  lesson.expect("an input changed halfway: largest change before, over the largest after",
                largest(slice(moved, 0, 0, length / 2)) / largest(moved), Below{1e-13});
}

void an_inverse(Lesson& lesson, const Legs& s, int64_t length) {
  lesson.section(
      "3. From powers to an inverse",
      R"(\sum_{t<L} C \bar A^t \bar B z^t = \underbrace{C (I - \bar A^L)}_{\tilde C} (I - z \bar A)^{-1} \bar B)");
  const Tensor K = by_powers(s, length);
  lesson.expect("inverses at the roots of unity against powers: relative difference",
                distance(by_inverses(s, length), K), Below{1e-9});
  Legs quick(8, 0.08);             // it forgets within the 512 taps that are folded
  quick.C = eye(8, doubles())[0];  // the first coordinate alone
  const Tensor wrapped = by_inverses(quick, 16, quick.C), whole = by_powers(quick, 512), first = slice(whole, 0, 0, 16);
  const Tensor folded = sum(reshape(whole, {32, 16}), {0});
  lesson.expect("with C in the place of C-tilde the kernel is another one: relative difference",
                distance(wrapped, first), Above{0.01});
  lesson.expect("it is the kernel wrapped around: relative difference", distance(wrapped, folded), Below{1e-10});
  lesson.plot(
      "wrapped",
      {{.name = "kernel", .y = first.to_vector<double>()},
       {.name = "with C for C-tilde", .y = wrapped.to_vector<double>(), .mark = Mark::dashed},
       {.name = "the kernel wrapped around", .y = folded.to_vector<double>(), .mark = Mark::points}},
      {.x = "tap", .y_low = 0, .caption = "C for C-tilde adds all later stretches of the kernel to the first."});
}

void not_by_eigenvectors(Lesson& lesson, int64_t largest_n) {
  lesson.section("4. Why not diagonalise?", R"(A = W \Lambda W^{-1}, \quad \lVert W \rVert\, \lVert W^{-1} \rVert)",
                 "Gu et al. 2021, lemma 3.2");
  Series condition{.name = "condition number of W"}, naive{.name = "error by eigenvectors"},
      low_rank{.name = "error by low rank"};
  for (int64_t n = 4; n <= largest_n; n += 4) {
    const Legs s(n, 0.01);
    const Tensor K = by_powers(s, 64);
    condition.x.push_back(double(n)), naive.x.push_back(double(n)), low_rank.x.push_back(double(n));
    condition.y.push_back(condition_number(eigenvectors(s)));
    naive.y.push_back(distance(by_eigenvectors(s, 64), K));
    low_rank.y.push_back(distance(by_low_rank(s, 64), K));
    lesson.value(fmt::format("condition, N = {}", n), condition.y.back());
    lesson.value(fmt::format("error by eigenvectors, N = {}", n), naive.y.back());
  }
  lesson.plot("condition", {condition, naive, low_rank},
              {.x = "states N",
               .log_y = true,
               .caption = "In f64. From N = 20 on, nothing is left of the kernel by eigenvectors."});
  lesson.expect("condition number of A's eigenvectors, N = 4", condition.y[0], Within{80, 92});
  lesson.expect("and N = 8", condition.y[1], Within{7e4, 9e4});
  if (largest_n >= 24) lesson.expect("error of the kernel by eigenvectors, N = 24", naive.y[5], Above{0.1});
  lesson.expect("error by diagonal plus low rank, the worst of all N",
                *std::max_element(low_rank.y.begin(), low_rank.y.end()), Below{1e-9});
}

void plus_low_rank(Lesson& lesson) {
  lesson.section("5. Diagonal plus low rank", R"(A = V (\Lambda - P P^*) V^*, \quad P_n = \sqrt{n + 1/2})",
                 "Gu et al. 2021, theorem 1");
  const int64_t n = 16;
  const Dplr s = hippo_dplr(HippoKind::legs, n);
  std::vector<double> own, re, im;
  for (int64_t k = 1; k <= n; ++k) own.push_back(-double(k));
  const std::vector<double> decay = real(s.lambda).to_vector<double>(), frequency = imag(s.lambda).to_vector<double>();
  for (double sign : {1., -1.})
    for (size_t k = 0; k < decay.size(); ++k) re.push_back(decay[k]), im.push_back(sign * frequency[k]);
  lesson.plot("plane",
              {{.name = "A: -1 .. -N", .x = own, .y = std::vector<double>(own.size(), 0.), .mark = Mark::points},
               {.name = "Λ: A plus a matrix of rank 1", .x = re, .y = im, .mark = Mark::points}},
              {.x = "real part", .y = "imaginary part", .caption = "N = 16: one rank lies between these two spectra."});
  lesson.expect("the real part of all of Λ is -1/2: largest difference", largest(real(s.lambda) + 0.5), Below{1e-12});
  const Dplr large = hippo_dplr(HippoKind::legs, 64);
  lesson.expect("largest frequency at N = 64, over N² / π",
                max(imag(large.lambda)).item() * std::numbers::pi / (64. * 64), Within{0.999, 1.001});
  const Tensor eigenvalues =
      low_rank_eigenvalues(cat({slice(s.lambda, 0, 0, 8), conj(s.lambda)}, 0), cat({s.P, conj(s.P)}, 1));
  lesson.expect("eigenvalues of Λ - P P*: the sum is that of -1 .. -N", real(sum(eigenvalues)).item(),
                Within{-136.01, -135.99});
}

void four_roads(Lesson& lesson, const Legs& s, int64_t length) {
  lesson.section("6. Woodbury, and the kernel",
                 R"(\hat K(z) = \frac{2}{1+z} \left[ k_{CB} - k_{CP} (1 + k_{PP})^{-1} k_{PB} \right])",
                 "Gu et al. 2021, algorithm 1");
  const Tensor K = by_powers(s, length);
  const double inverses = distance(by_inverses(s, length), K), low_rank = distance(by_low_rank(s, length), K),
               steps = distance(by_steps(s, length), K);
  lesson.value("difference: inverses", inverses), lesson.value("difference: low rank", low_rank);
  lesson.value("difference: Woodbury's step", steps);
  lesson.expect("four roads, one kernel: the largest relative difference to powers",
                std::max({inverses, low_rank, steps}), Below{1e-9});
  lesson.expect("the formula as it is printed, at the root -1, is a number",
                std::isfinite(printed_at_minus_one(s)) ? 1. : 0., Equals{0});
  // its limit is Delta / 2 C B; the library's sums have it as they are: the kernel's alternating sum is the value at -1
  const Tensor odd_length = by_low_rank(s, 2);
  const DenseSystem d = dense(s.split);
  const DiscreteSystem bar = discretise(d.A, d.B, s.step, Discretisation::bilinear);
  const double limit = s.step / 2 * real(sum(truncated(d.C, bar.A, 2) * d.B)).item();
  lesson.expect("the limit there, Δ/2 C̃ B, against the library's kernel of two taps: difference",
                std::abs(odd_length[0].item() - odd_length[1].item() - limit) / std::abs(limit), Below{1e-10});
  Series dense_count{.name = "powers, N² L"}, split_count{.name = "diagonal plus low rank, N L"};
  for (int64_t n = 8; n <= 64; n *= 2) {
    const Legs one(n, s.step);
    const Tensor tilde = one.split.C;
    dense_count.x.push_back(double(n)), split_count.x.push_back(double(n));
    dense_count.y.push_back(operations([&] { by_powers(one, length); }));
    split_count.y.push_back(operations([&] { dplr_kernel(one.split, one.delta(), length); }));
  }
  lesson.plot(
      "count", {dense_count, split_count},
      {.x = "states N", .y = "operations", .log = true, .caption = fmt::format("Counted, for {} taps.", length)});
  lesson.expect("operations by low rank, eight times the states over once", split_count.y[3] / split_count.y[0],
                AtMost{8});
  lesson.expect("operations by powers, eight times the states over once", dense_count.y[3] / dense_count.y[0],
                Above{40});
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "09",
                 .name = "09b_s4",
                 .title = "S4: a memory as a layer",
                 .about =
                     "HiPPO's memory as a convolution: its kernel by four roads, why its matrix is not diagonalised, "
                     "and what is left when the low rank goes, or the matrix itself.",
                 .full_time = "2 min"});
  const int64_t n = lesson.option("states", Sizes{.full = 64, .quick = 32, .tiny = 8, .least = 2, .multiple = 2}, "N");
  const int64_t length = lesson.option("length", Sizes{.full = 1024, .quick = 256, .tiny = 16, .least = 16}, "taps");
  const int64_t largest_n =
      lesson.option("largest", Sizes{.full = 32, .quick = 32, .tiny = 8, .least = 8}, "N diagonalised");
  const int64_t fitted = lesson.option("fit", Sizes{.full = 1600, .quick = 800, .tiny = 2}, "steps of RTF's fit");
  const int64_t dim = lesson.option("dim", Sizes{.full = 32, .quick = 32, .tiny = 4}, "channels of the nets");
  const int64_t state =
      lesson.option("state", Sizes{.full = 16, .quick = 16, .tiny = 4, .least = 2, .multiple = 2}, "of the nets");
  const int64_t steps = lesson.option("steps", Sizes{.full = 500, .quick = 180, .tiny = 1}, "of training on digits");
  const int64_t batch = lesson.option("batch", Sizes{.full = 32, .quick = 32, .tiny = 1}, "digits a step");
  const int64_t seeds = lesson.option("seeds", Sizes{.full = 3, .quick = 1, .tiny = 1}, "of each net");
  const int64_t tested = lesson.option("tested", Sizes{.full = 500, .quick = 100, .tiny = 1}, "fresh digits");
  a_memory_that_fades(lesson);
  const Legs s(n, 0.01);
  a_kernel(lesson, s, length);
  an_inverse(lesson, s, length);
  not_by_eigenvectors(lesson, largest_n);
  plus_low_rank(lesson);
  four_roads(lesson, s, length);
  only_the_diagonal(lesson, std::min<int64_t>(length, 80));
  the_rational_function(lesson, fitted, std::clamp<int64_t>(length, 64, 512));
  digits(lesson, dim, state, steps, batch, seeds, tested);
  return lesson.finish();
}
