// What a network may predict at (x_t, t): five quantities, any of which gives the others, since x_t = a x_0 + b eps is
// known. Each is p x_0 + q eps, read as an expectation given x_t:
//
//   denoised   x_0                    p = 1    q = 0
//   noise      eps                    p = 0    q = 1
//   score      -eps / b               p = 0    q = -1 / b
//   v          a eps - b x_0          p = -b   q = a      Salimans & Ho 2022
//   velocity   a' x_0 + b' eps        p = a'   q = b'     dx/dt of the probability-flow ODE
//
// With x_t that is a 2 x 2 system of determinant a q - b p, for the velocity W = a b' - b a'.
#pragma once
#include "nn/diffusion/process.h"

namespace ink::diffusion {

enum class Output {
  denoised,  // D(x_t, t) = E[x_0 | x_t]
  noise,     // E[eps | x_t]: DDPM
  score,     // grad log p_t(x_t) = -E[eps | x_t] / b
  v,         // a eps - b x_0, the angular velocity
  velocity,  // a' x_0 + b' eps: flow matching
};
inline constexpr Output kOutputs[] = {Output::denoised, Output::noise, Output::score, Output::v, Output::velocity};
const char* output_name(Output output);

// to = of_x x_t + of_value value. ValueError where x_t does not determine it: of D from eps at a = 0, of eps from D at
// b = 0.
struct Conversion {
  double of_x = 0, of_value = 1;
};
Conversion conversion(const Process& process, double t, Output from, Output to);
// The same for each sample: value and x [batch, ..], t [batch] -> value's shape and dtype. Differentiable in value and
// x. ShapeError if they do not fit.
Tensor convert(const Process& process, const Tensor& value, Output from, Output to, const Tensor& x, const Tensor& t);
// The squared error of D that a squared error of 1 in `output` stands for: (b / a)^2 for noise, and so on.
double denoised_error(const Process& process, double t, Output output);

}  // namespace ink::diffusion
