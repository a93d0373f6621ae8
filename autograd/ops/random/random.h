// Random numbers. The generator is the device's default one unless given (tensor/random.h): the same seed gives the
// same numbers, for any number of threads. Only dropout has a gradient.
//
// Salmon et al. 2011 (Philox): a number is a function of the seed and its place in the stream. `options` as for
// zeros().
#pragma once
#include "tensor/random.h"
#include "tensor/tensor.h"

namespace ink {

// Uniform in [0, 1), and standard normal, of that shape: floating point or complex (both parts drawn), else DTypeError.
Tensor rand(const Shape& shape, const Options& options = {}, Generator* generator = nullptr);
Tensor randn(const Shape& shape, const Options& options = {}, Generator* generator = nullptr);
// The same with x's shape, dtype and device.
Tensor rand_like(const Tensor& x);
Tensor randn_like(const Tensor& x);
// Integers in [low, high), i64 unless options say otherwise. ValueError for an empty range.
Tensor randint(int64_t low, int64_t high, const Shape& shape, const Options& options = i64,
               Generator* generator = nullptr);
// A permutation of 0 .. n - 1: i64 [n]. ValueError for n < 0.
Tensor randperm(int64_t n, Generator* generator = nullptr);

// 1 with probability p, else 0, in p's shape and dtype. DTypeError unless p is floating point, ValueError for a p
// outside [0, 1] or NaN.
Tensor bernoulli(const Tensor& p, Generator* generator = nullptr);
// Draws `count` class numbers for each row of weights [..., classes], a class as often as its share of the row's sum:
// i64 [..., count]. Without replacement no class comes twice (Efraimidis & Spirakis 2006). ShapeError for weights
// without dims, a negative count or no classes; ValueError for a weight that is negative or not finite, and for fewer
// classes of positive weight than are drawn.
Tensor multinomial(const Tensor& weights, int64_t count, bool replacement = false, Generator* generator = nullptr);

// x z / (1 - p), where z is 0 with probability p and else 1; x itself if not training. x's shape and dtype. The
// gradient is the same dropout of g: z is drawn again from the counter-based generator, never stored. DTypeError unless
// x is floating point, ValueError for p outside [0, 1]. Srivastava et al. 2014.
Tensor dropout(const Tensor& x, double p, bool training = true, Generator* generator = nullptr);

}  // namespace ink
