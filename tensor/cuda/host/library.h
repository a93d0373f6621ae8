// A shared library of the CUDA toolkit, opened at first use. The products of cuBLASLt and the transforms of cuFFT are
// hundreds of MiB of kernels: linked, they would cost every program 0.4 s at its start, whether it needs them or not.
#pragma once
#include <initializer_list>
#include <string>

#include "tensor/cuda/cuda.h"

namespace ink::cuda {

class Library {
 public:
  // "libcublasLt", {13, 12}: libcublasLt.so.13, .so.12 or .so, where the loader looks, then in the toolkit's folders.
  // NotSupported with what was tried if there is none.
  Library(const char* name, std::initializer_list<int> versions);
  // f = the function `name`; NotSupported if the library has no such function.
  template <class F> void find(F*& f, const char* name) const { f = reinterpret_cast<F*>(symbol(name)); }
  const std::string& path() const { return path_; }

 private:
  void* symbol(const char* name) const;
  void* handle_ = nullptr;  // never closed
  std::string path_;
};

// While it lives, this thread may load code and tables although a step is being captured: they are no part of it.
class OutsideCapture {
 public:
  OutsideCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~OutsideCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  OutsideCapture(const OutsideCapture&) = delete;
  OutsideCapture& operator=(const OutsideCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace ink::cuda
