// Arrays of every layout for the tests of kernels: permuted, padded, flipped and broadcast dims over memory of their
// own.
#pragma once
#include <random>
#include <vector>

#include "tensor/backend/kernels.h"

namespace ink::test {

// strided: dims permuted, padded and flipped at random
enum class Layout { contiguous, strided, broadcast };

struct Strided {
  std::vector<uint64_t> memory;
  Array array;
};

// Random values: floats are multiples of 1/8 in [-3, 3], integers in [-4, 4], u8 in [0, 8].
Strided make_strided(DType dtype, const Shape& shape, Layout layout, std::mt19937& rng);
// An output of the given shape, filled with a bit pattern no kernel leaves behind.
Strided make_output(DType dtype, const Shape& shape, Layout layout, std::mt19937& rng);

// The element at a row-major flat index.
complex<double> element(const Array& array, int64_t flat);
// All elements in row-major order, and their bytes (to compare bit for bit).
std::vector<complex<double>> elements(const Array& array);
std::vector<char> element_bytes(const Array& array);

inline constexpr DType kAllDTypes[] = {f32, f64, f16, bf16, c64, c128, i64, i32, u8, boolean};
// Relative error of one rounding.
double epsilon(DType dtype);
// Whether a is b up to `tolerance` relative to max(1, |b|); NaN equals NaN.
bool close(complex<double> a, complex<double> b, double tolerance);

}  // namespace ink::test
