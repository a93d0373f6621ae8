// What all calls of LAPACK share: dtypes, column-major copies, errors.
#include "tensor/raw/lapack/lapack.h"

#include <fmt/format.h>

namespace ink::raw::lapack {

DType field_dtype(const char* op, DType t) {
  t = computed_in(op, t, kField);
  if (is_half(t))
    throw DTypeError(fmt::format("{}: dtype not supported; got {}; expected f32, f64, c64 or c128", op, name_of(t)));
  return t;
}
void check_square(const char* op, const Tensor& a) {
  if (a.dim() < 2 || a.size(-1) != a.size(-2))
    throw ShapeError(fmt::format("{}: not square; got {}; expected [..., n, n]", op, a.shape().str()));
}

void throw_failed(const char* op, int64_t matrix, const char* problem, int info) {
  throw LinalgError(fmt::format("{}: matrix {} of the batch {} (LAPACK info {})", op, matrix, problem, info));
}

}  // namespace ink::raw::lapack
