// Where the tokens of one step stand, if they do not simply follow one another: a tree of candidates, or sequences of
// different lengths side by side.
#pragma once
#include "tensor/tensor.h"

namespace ink {

// Layers that keep a column for each token (its key and value) take it: the new tokens' columns are appended to those
// before, and `mask` says who sees which. Others refuse it.
struct StepPlaces {
  Tensor positions;  // i64 [time], or [batch, time]: of each new token in its sequence, for embeddings and rotations
  Tensor mask;       // bool [batch or 1, 1, time, columns before + time]: true where a new token sees a column
};

}  // namespace ink
