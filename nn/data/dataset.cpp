// Data sets in memory, and splits of them.
#include "nn/data/dataset.h"

#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {

Batch Dataset::batch(std::span<const int64_t> rows) const {
  NoGrad guard;
  std::vector<std::vector<Tensor>> columns;  // columns[k]: tensor k of every example
  for (int64_t i : rows) {
    Example example = get(i);
    if (columns.empty()) columns.resize(example.size());
    if (example.size() != columns.size())
      throw ShapeError(fmt::format("Dataset: example {} has another number of tensors; got {}; expected {}", i,
                                   example.size(), columns.size()));
    for (size_t k = 0; k < example.size(); ++k) columns[k].push_back(std::move(example[k]));
  }
  Batch batch;
  for (const auto& column : columns) batch.push_back(stack(column));
  return batch;
}

TensorDataset::TensorDataset(std::vector<Tensor> tensors) : tensors_(std::move(tensors)) {
  if (tensors_.empty()) throw ShapeError("TensorDataset: no tensors; expected at least one");
  for (const Tensor& t : tensors_) {
    if (!t.defined() || t.dim() == 0)
      throw ShapeError("TensorDataset: got an undefined or 0-dim tensor; expected [examples, ...]");
    if (t.size(0) != tensors_[0].size(0))
      throw ShapeError(fmt::format("TensorDataset: the tensors differ in their number of examples; got {} and {}",
                                   tensors_[0].shape().str(), t.shape().str()));
  }
}

Example TensorDataset::get(int64_t i) const {
  if (i < 0 || i >= size())
    throw IndexError(fmt::format("TensorDataset: no such example; got {}; expected 0 to {}", i, size() - 1));
  NoGrad guard;
  Example example;
  for (const Tensor& t : tensors_) example.push_back(t.select(0, i));
  return example;
}

Batch TensorDataset::batch(std::span<const int64_t> rows) const {
  NoGrad guard;
  Batch batch;
  Tensor index = from_data(rows, {int64_t(rows.size())});
  for (const Tensor& t : tensors_) batch.push_back(index_select(t, 0, index.to(t.device())));
  return batch;
}

TensorDataset TensorDataset::slice(int64_t start, int64_t stop) const {
  std::vector<Tensor> parts;
  for (const Tensor& t : tensors_) parts.push_back(t.slice(0, start, stop));
  return TensorDataset(std::move(parts));
}

}  // namespace ink
