// Sections 7 and 8 of lesson 09b: what is left when the low rank goes, and when the matrix itself goes.
#pragma once
#include <algorithm>
#include <string>

#include "examples/09b_s4/steps.h"

namespace ink::lesson {

inline void only_the_diagonal(Lesson& lesson, int64_t length) {
  lesson.section("7. Only the diagonal", R"(K_t = 2\,\text{Re} \sum_n C_n \bar B_n \bar A_n^{\,t})",
                 "Gu et al. 2022, S4D");
  std::vector<Series> frequencies, kernels;
  const int64_t n = 8;
  for (auto [name, init] : {std::pair<const char*, S4DInit>{"LegS", S4DInit::legs},
                            {"Lin", S4DInit::lin},
                            {"Inv", S4DInit::inv},
                            {"Quad", S4DInit::quad},
                            {"Real", S4DInit::real}}) {
    S4D layer({.dim = 1, .state = n, .init = init, .step_min = 0.05, .step_max = 0.05});
    NoGrad guard;
    layer.C = zeros_like(layer.C);
    layer.C.select(layer.C.dim() - 1, 0).fill_(init == S4DInit::real ? 1 : 0.5);
    if (init == S4DInit::legs) layer.C = view_as_real(conj(view_as_complex(layer.B)).contiguous()).clone();
    const Tensor K = layer.kernel(length)[0];
    kernels.push_back({.name = name, .y = (K / max(abs(K))).to_vector<double>()});
    if (init == S4DInit::real) continue;
    std::vector<double> w = imag(layer.poles()[0]).to_vector<double>();
    std::sort(w.begin(), w.end());
    frequencies.push_back({.name = name, .y = w, .mark = Mark::points});
  }
  lesson.plot("frequencies", frequencies,
              {.x = "pole, by frequency",
               .y = "imaginary part",
               .caption = "N = 8. Inv is near LegS's own; Lin is a Fourier series."});
  const Legs whole(n, 0.05);
  const Tensor K = by_powers(whole, length);
  kernels.insert(kernels.begin(), {.name = "S4 (LegS)", .y = (K / max(abs(K))).to_vector<double>()});
  lesson.plot(
      "kernels", kernels,
      {.x = "tap", .y = "kernel", .caption = "N = 8, Δ = 0.05, C = 1, and Bᵀ for LegS; each over its largest tap."});
  // the first coordinate of LegS after an impulse, against that of the normal part with B / 2
  const auto gap = [&](int64_t size) {
    const Legs s(size, 0.05);
    const Tensor P = unsqueeze(s.B, 1) * std::sqrt(0.5);
    const Tensor normal = matrix_exp((s.A + matmul(P, P.t())) * 0.5), legs = matrix_exp(s.A * 0.5);
    return std::abs(matmul(normal, s.B / 2)[0].item() - matmul(legs, s.B)[0].item());
  };
  lesson.value("S4D-LegS against LegS, N = 16", gap(16)), lesson.value("S4D-LegS against LegS, N = 128", gap(128));
  lesson.expect("the term of rank one can go, with B / 2: difference at N = 128 over that at N = 8", gap(128) / gap(8),
                Below{0.3});
}

inline void the_rational_function(Lesson& lesson, int64_t steps, int64_t length) {
  lesson.section("8. The rational function itself",
                 R"(\hat K(z) = \frac{b_1 + \dots + b_d z^{d-1}}{1 + a_1 z + \dots + a_d z^d})",
                 "Parnichkun et al. 2024; Su 2024, kexue.fm 10180");
  Series rtf{.name = "RTF"}, s4d{.name = "S4D"}, s4{.name = "S4"};
  for (int64_t d = 8; d < length; d *= 2) {
    for (Series* s : {&rtf, &s4d, &s4}) s->x.push_back(double(d));
    const RTF a({.dim = 1, .length = length, .state = d});
    const S4D b({.dim = 1, .state = d});
    const S4 c({.dim = 1, .length = length, .state = d});
    rtf.y.push_back(operations([&] { a.kernel(length); }));
    s4d.y.push_back(operations([&] { b.kernel(length); }));
    s4.y.push_back(operations([&] { c.kernel(length); }));
    if (d == 128) break;
  }
  lesson.plot("cost", {s4, s4d, rtf},
              {.x = "states",
               .y = "operations",
               .log = true,
               .caption = fmt::format("Counted, for a kernel of {} taps.", length)});
  lesson.expect("RTF: operations with the most states over those with 8", rtf.y.back() / rtf.y.front(),
                Within{0.99, 1.01});
  lesson.expect("S4D: the same", s4d.y.back() / s4d.y.front(), Above{1.5});
  RTF layer({.dim = 1, .length = 16, .state = 4});
  layer.to(f64);
  NoGrad guard;
  layer.a = randn({1, 4}, doubles()) * 0.2, layer.b = randn({1, 4}, doubles());
  const Tensor K = layer.kernel(16)[0], A = layer.companion()[0], row = layer.output()[0];
  const Tensor column = squeeze(solve(eye(4, doubles()) - matrix_power(A, 16), layer.b[0].unsqueeze(1)), 1);
  const auto read = [&](const Tensor& C) {
    Tensor x = zeros({4}, doubles());
    x[0].fill_(1);
    std::vector<Tensor> taps;
    for (int64_t t = 0; t < 16; ++t) taps.push_back(dot(C, x)), x = matmul(A, x);
    return stack(taps, 0);
  };
  lesson.expect("steps of the companion matrix, C solved for as a row: relative difference", distance(read(row), K),
                Below{1e-11});
  lesson.expect("and as a column, as published code does", distance(read(column), K), Above{1e-8});
  EnableGrad on;
  const Fit fit = fit_oscillation(lesson, 4, steps, 0.95, 0.4);
  lesson.plot("poles", fit.paths,
              {.x = "real part",
               .y = "imaginary part",
               .equal = true,
               .caption = "From 0, where all poles start, to the pair of the target."});
  lesson.plot("fit", fit.kernels, {.x = "tap", .y = "kernel", .caption = "RTF's kernel on its way to the target."});
  lesson.expect("RTF learns a damped oscillation: relative error", fit.error, Below{0.05}, Needs::training);
  lesson.expect("the radius of its largest pole", fit.radius, Within{0.93, 0.97}, Needs::training);
}

}  // namespace ink::lesson
