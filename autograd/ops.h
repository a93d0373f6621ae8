// The ops of the framework, a header a family. Names and meanings are libtorch's where libtorch has the op. Attention
// stands in autograd/attention.h.
//
// What holds for all of them, unless a header says otherwise:
// * All are differentiable any number of times, but those marked (no gradient).
// * Negative dims count from the end. `[.., n]` is any number of dims before one of size n.
// * An undefined tensor is an error, but where a header says that an operand may be left out.
// * Every error is typed, and names the op, what it got and what it expected:
//     IndexError   a dim or an index that is not there
//     ShapeError   shapes that do not fit
//     DTypeError   a dtype that the op does not take
//     ValueError   a number out of its range
//     DeviceError  operands on different devices, or a device that is not there
//     MemoryError  a result that no memory holds
// tests/specs/ has a row for each function that is declared here.
#pragma once
#include "autograd/ops/conv/conv.h"
#include "autograd/ops/elementwise/arithmetic.h"
#include "autograd/ops/elementwise/complex.h"
#include "autograd/ops/elementwise/elementwise.h"
#include "autograd/ops/fft/fft.h"
#include "autograd/ops/index/index.h"
#include "autograd/ops/linalg/linalg.h"
#include "autograd/ops/normalise/normalise.h"
#include "autograd/ops/product/product.h"
#include "autograd/ops/random/random.h"
#include "autograd/ops/reduce/reduce.h"
#include "autograd/ops/scan/scan.h"
#include "autograd/ops/view/create.h"
#include "autograd/ops/view/view.h"
