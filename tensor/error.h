// The exceptions a user can meet. Every message reads `op: what is wrong; got ... ; expected ...; hint`.
#pragma once
#include <stdexcept>
#include <string>

namespace ink {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// sizes or dims do not fit
struct ShapeError : Error {
  using Error::Error;
};
// an element type the op does not take
struct DTypeError : Error {
  using Error::Error;
};
// operands on different or missing devices
struct DeviceError : Error {
  using Error::Error;
};
// an index outside its range
struct IndexError : Error {
  using Error::Error;
};
// an option outside its range
struct ValueError : Error {
  using Error::Error;
};
// a misuse of autograd
struct GradError : Error {
  using Error::Error;
};
// the device has no more memory
struct MemoryError : Error {
  using Error::Error;
};
// a file that is missing, damaged or not writable
struct IoError : Error {
  using Error::Error;
};
// a singular or indefinite matrix
struct LinalgError : Error {
  using Error::Error;
};
// a failed CUDA call
struct CudaError : Error {
  using Error::Error;
};
// known, but not offered by this build
struct NotSupported : Error {
  using Error::Error;
};

}  // namespace ink
