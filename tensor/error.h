// The exceptions a user can meet. Every message reads `op: what is wrong; got ... ; expected ...; hint`.
#pragma once
#include <stdexcept>
#include <string>

namespace ink {

struct Error : std::runtime_error { using std::runtime_error::runtime_error; };
struct ShapeError : Error { using Error::Error; };    // sizes or dims do not fit
struct DTypeError : Error { using Error::Error; };    // an element type the op does not take
struct DeviceError : Error { using Error::Error; };   // operands on different or missing devices
struct IndexError : Error { using Error::Error; };    // an index outside its range
struct ValueError : Error { using Error::Error; };    // an option outside its range
struct GradError : Error { using Error::Error; };     // a misuse of autograd
struct MemoryError : Error { using Error::Error; };   // the device has no more memory
struct IoError : Error { using Error::Error; };       // a file that is missing, damaged or not writable
struct LinalgError : Error { using Error::Error; };   // a singular or indefinite matrix
struct CudaError : Error { using Error::Error; };     // a failed CUDA call
struct NotSupported : Error { using Error::Error; };  // known, but not offered by this build

}  // namespace ink
