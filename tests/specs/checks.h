// The checks that follow from a row. Each returns what is wrong, or an empty string.
#pragma once
#include <exception>

#include "tests/op_specs.h"

namespace ink::test {

// The inputs of a case in another dtype: f64 -> t and c128 -> the complex type of t; indices and masks stay.
TensorList in_dtype(const TensorList& inputs, DType t);
bool has_complex(const TensorList& inputs);

std::string check_forward(const OpSpec& spec, const Case& c, DType t);   // against the reference, on inputs of dtype t
std::string check_layouts(const OpSpec& spec, const Case& c, DType t);   // strided, sliced and expanded views as inputs
std::string check_threads(const OpSpec& spec, const Case& c, DType t);   // 1 and 2 threads: equal bits, gradients too
std::string check_gradient(const OpSpec& spec, const Case& c, DType t);  // in t against f64
// Results in f16 or bf16 are right to one rounding, their gradients to a few: with the inputs as they are, and with
// each and all of them scaled to just below 2^15.
std::string check_halves(const OpSpec& spec, const Case& c, DType t);
std::string check_fused(const OpSpec& spec, const Case& c, DType t);  // create_graph = false against true
std::string check_modes(const OpSpec& spec, const Case& c);           // NoGrad, outputs without gradients
std::string check_inputs_kept(const OpSpec& spec, const Case& c);     // values and versions
// Results and gradients on `device` against those of the CPU.
std::string check_parity(const OpSpec& spec, const Case& c, DType t, Device device);
// Results and gradients, for tests that compare several runs bit by bit.
TensorList results_and_gradients(const OpSpec& spec, const Case& c, DType t);
bool same_bits(const Tensor& a, const Tensor& b);
std::string check_error(const ErrorInput& e);

// What check() returns, or what it throws.
template <class F> std::string outcome_of(F check) {
  try {
    return check();
  } catch (const std::exception& e) { return std::string("threw: ") + e.what(); }
}

}  // namespace ink::test
