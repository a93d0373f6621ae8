// One row for each op of autograd/ops.h, autograd/attention.h and autograd/recurrence.h: how to call it, on what, and
// what must come out. test_ops*.cpp runs every check on every row; tests/specs/ holds the rows, by family.
#pragma once
#include <complex>
#include <functional>
#include <string>
#include <vector>

#include "autograd/observe/gradcheck.h"
#include "autograd/ops.h"

namespace ink::test {

using C = std::complex<double>;

// An array of the reference: plain numbers in row-major order, no strides, no dtype.
struct Nd {
  Shape shape;
  std::vector<C> v;

  Nd() = default;
  explicit Nd(const Shape& shape, C fill = 0) : shape(shape), v(size_t(shape.numel()), fill) {}
  Nd(const Shape& shape, std::vector<C> values) : shape(shape), v(std::move(values)) {}
  int64_t position(const Shape& index) const;
  C& operator()(const Shape& index) { return v[size_t(position(index))]; }
  C operator()(const Shape& index) const { return v[size_t(position(index))]; }
};
using NdList = std::vector<Nd>;
using OpFn = std::function<TensorList(const TensorList&)>;
using Reference = std::function<NdList(const NdList&)>;

// One call of an op. Inputs are f64 or c128; indices i64 and masks bool. An undefined one stays undefined.
struct Case {
  std::string label;
  TensorList inputs;
  OpFn op;
  Reference reference;  // null: the row names the test that has it
  bool grad = true;     // false: too large for numeric gradients
  double terms = 0;     // how many terms an element sums; 0: the elements of the largest input
};

struct ErrorInput {
  std::string type, message;  // a part of the message
  std::function<void()> call;
  bool (*is)(const Error&);
};
template <class E, class F> ErrorInput fails(const char* type, const char* message, F call) {
  auto is = [](const Error& e) {
    if constexpr (std::is_same_v<E, Error>)
      return true;  // any of ours
    else
      return dynamic_cast<const E*>(&e) != nullptr;
  };
  return {type, message, [call] { (void)call(); }, is};
}

struct OpSpec {
  std::string name;  // as declared; a tag after a dot tells overloads and forms apart
  std::function<std::vector<Case>()> cases;
  bool elementwise = false;  // strided and contiguous inputs give equal bits
  bool gradient = true;      // false: marked (no gradient) in ops.h
  bool second = true;        // false: the gradient does not depend on anything (or an infinite one is expected)
  bool integers = false;     // also takes i64, i32 and u8
  bool expandable = true;    // still valid when the values repeat along the first dim
  std::vector<DType> dtypes{f32, f16, bf16};  // checked against f64
  double factor = 4;                          // roundings per element (or term) that the formula may make
  std::vector<ErrorInput> errors{};
  // why gradients in f16 and bf16 may be off by more than a few roundings; empty: they are not
  std::string rounds_again{};
  std::string tested_in{};  // where the reference is, if the cases have none
};
using Specs = std::vector<OpSpec>;

Specs all_specs();
Specs wanted_specs();                           // all, or those the environment variable INK_SPEC names
std::string base_name(const std::string& row);  // "pow.number" -> "pow"

void add_create_specs(Specs& s);
void add_random_specs(Specs& s);
void add_elementwise_specs(Specs& s);
void add_activation_specs(Specs& s);
void add_arithmetic_specs(Specs& s);
void add_compare_specs(Specs& s);
void add_complex_specs(Specs& s);
void add_reduce_specs(Specs& s);
void add_scan_specs(Specs& s);
void add_view_specs(Specs& s);
void add_join_specs(Specs& s);
void add_index_specs(Specs& s);
void add_product_specs(Specs& s);
void add_linalg_specs(Specs& s);
void add_conv_specs(Specs& s);
void add_softmax_specs(Specs& s);
void add_norm_specs(Specs& s);
void add_loss_specs(Specs& s);
void add_fft_specs(Specs& s);
void add_attention_specs(Specs& s);
void add_recurrence_specs(Specs& s);

}  // namespace ink::test
