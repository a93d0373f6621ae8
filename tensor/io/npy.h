// One array in NumPy's .npy format, wherever it stands: a file of its own, or an entry of an .npz.
#pragma once
#include "tensor/io/file.h"

namespace ink::io {

// Reads the array that fills `source` exactly. Fortran order and big-endian elements become ours.
Tensor read_npy(const Source& source);
// The header of x's array, up to the first element. DTypeError for a dtype NumPy does not have.
std::string npy_header(const char* op, const Tensor& x);

}  // namespace ink::io
