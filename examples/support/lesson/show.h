// A tensor summarised for people: range, mean, and a small matrix of cells to draw.
#pragma once
#include <string>

#include "examples/support/lesson/report.h"
#include "examples/support/lesson/terminal.h"
#include "tensor/tensor.h"

namespace ink::lesson {

// Copies the elements to the CPU; complex numbers show their magnitude. A vector is one row; of more than two dims the
// first matrix is shown. Cells are averaged down to at most 32 rows and 64 columns.
Shown summarise(const std::string& name, const Tensor& x);

// Name, dtype, shape and range on one line; below it the numbers if there are few, else a heat map of blocks.
std::string shown_text(const Shown& shown, const Terminal& terminal);

}  // namespace ink::lesson
