// OpenBLAS, opened at first use, after its core type was chosen; always at one thread (the library cuts the work).
// Its kernels are chosen by what the CPU can do; an inherited OPENBLAS_CORETYPE is ignored, since a wrong one halves
// every product; INK_BLAS_CORETYPE overrides.
#pragma once
#include <string>

namespace ink::blas {

// Column-major BLAS and LAPACK entry points by their Fortran name without the underscore ("sgemm", "dgesv").
// NotSupported with an install hint when OpenBLAS or the symbol is missing.
void* symbol(const char* name);
template <class F> F* function(const char* name) { return reinterpret_cast<F*>(symbol(name)); }

bool available();
std::string library();    // path of the library opened, "" if none
std::string core_name();  // the kernels OpenBLAS chose, e.g. "Cooperlake"
std::string version();

}  // namespace ink::blas
