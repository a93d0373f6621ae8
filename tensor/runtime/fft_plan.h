// What an FFT of length n needs to know beforehand: its factors and its roots of unity. Plain data, made once per
// length and kept; the kernels of every CPU level read it.
#pragma once
#include <cstdint>

namespace ink {

inline constexpr int kMaxFftRadix = 31;  // larger primes go by Bluestein's algorithm

// One pass of a Stockham FFT (Stockham 1966; radix-4 first): a transform of length radix * m becomes `radix` of length
// m.
template <class T> struct FftStage {
  int64_t radix, m;
  const T* twiddle;  // [m][radix - 1][re, im]: exp(-2 pi i p j / (radix m)), j = 1 ... radix - 1
  const T* root;     // [radix][cos, sin] of 2 pi j / radix
};

template <class T> struct FftPlan {
  int64_t n;
  // stages: the passes, in order. split: n = columns * rows, transforms of length `rows` down the columns, then of
  // length `columns` along the rows (Bailey 1990). chirp: a convolution of length `padded` (Bluestein 1970).
  enum Kind { stages, split, chirp } kind;
  const FftStage<T>* stage;
  int64_t stage_count;
  int64_t rows, columns;
  const FftPlan *down, *along;  // for a chirp, `down` is the transform of length `padded`
  const T* cross;  // split: [rows][columns] of exp(-2 pi i k j / n), all real parts, then all imaginary parts
  int64_t padded;
  const T* factor;  // chirp: [n][re, im] of exp(-pi i j^2 / n)
  const T* filter;  // chirp: [padded][re, im], the transform of its conjugate, divided by `padded`
};

// The plan for n >= 1, from a cache. The plan of a split's or a chirp's parts is of kind `stages` or split.
template <class T> const FftPlan<T>& fft_plan(int64_t n);
extern template const FftPlan<float>& fft_plan<float>(int64_t);
extern template const FftPlan<double>& fft_plan<double>(int64_t);

// [half + 1] of exp(-pi i k / half), all real parts, then all imaginary parts, from a cache: what ties a transform of
// 2 half real numbers to one of `half` complex numbers.
template <class T> const T* real_fft_turns(int64_t half);
extern template const float* real_fft_turns<float>(int64_t);
extern template const double* real_fft_turns<double>(int64_t);

// What a convolution of rows of real numbers needs: a transform of n complex numbers x_j twist_j, kind split, rows and
// columns multiples of every level's lanes.
template <class T> struct ConvolutionPlan {
  const FftPlan<T>* fft;
  const T* twist;  // [n] of exp(-pi i j / (2 n)), all real parts, then all imaginary parts
};

// The quickest plan whose length is at least n >= 1, from a cache.
template <class T> const ConvolutionPlan<T>& convolution_plan(int64_t n);
extern template const ConvolutionPlan<float>& convolution_plan<float>(int64_t);
extern template const ConvolutionPlan<double>& convolution_plan<double>(int64_t);

}  // namespace ink
