// Rows of ops that make tensors. The cases have no inputs, or one whose shape and dtype the result takes over.
#pragma once
#include "tests/specs/samples.h"

namespace ink::test {

using Value = std::function<C(const Shape&)>;  // the right element at an index
Value constant(C x);
Case made(std::string label, std::function<Tensor()> make, Shape shape, Value value);
OpSpec made_row(const char* name, std::function<std::vector<Case>()> cases, std::vector<ErrorInput> errors = {});

}  // namespace ink::test
