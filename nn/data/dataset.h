// Datasets: numbered examples, each a few tensors (an image and its label, say).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace ink {

using Example = std::vector<Tensor>;
using Batch = std::vector<Tensor>;  // the tensors of many examples, stacked along a first dim

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // Example i, 0 <= i < size(). A loader may call it from its own thread, and expects the same example each time.
  virtual Example get(int64_t i) const = 0;
  // These examples as [rows.size(), ...]. ShapeError if they do not have equal shapes.
  virtual Batch batch(std::span<const int64_t> rows) const;
};

// Example i is the i-th slice of each tensor: TensorDataset({images, labels}).
class TensorDataset : public Dataset {
 public:
  // ShapeError unless all tensors have one first size.
  explicit TensorDataset(std::vector<Tensor> tensors);
  int64_t size() const override { return tensors_[0].size(0); }
  Example get(int64_t i) const override;
  Batch batch(std::span<const int64_t> rows) const override;
  const std::vector<Tensor>& tensors() const { return tensors_; }
  // The examples [start, stop), sharing memory: a split into training and test data.
  TensorDataset slice(int64_t start, int64_t stop) const;

 private:
  std::vector<Tensor> tensors_;
};

}  // namespace ink
