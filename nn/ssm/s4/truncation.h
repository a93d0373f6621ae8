// The truncated generating function. The first L taps of a kernel K_t = C A^t B have the sum
//
//   sum over t < L of K_t z^t = C (1 - A^L z^L) (1 - A z)^{-1} B,
//
// and at the roots of unity, z^L = 1, it is C-tilde (1 - A z)^{-1} B with C-tilde = C (1 - A^L): an inverse in place of
// powers. S4 and RTF train C-tilde, and a step needs C. All functions take matrices A [.., n, n] and rows [.., n].
#pragma once
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "autograd/graph/mode.h"
#include "tensor/tensor.h"

namespace ink {

Tensor matrix_power(const Tensor& A, int64_t power);                         // power >= 0, by squaring
Tensor truncated(const Tensor& C, const Tensor& A, int64_t length);          // C (1 - A^length)
Tensor untruncated(const Tensor& C_tilde, const Tensor& A, int64_t length);  // C with that C-tilde: a solve for a row
Tensor doubled(const Tensor& C_tilde, const Tensor& A,
               int64_t length);  // C (1 - A^{2 length}) = C-tilde (1 + A^length)

// What follows from parameters and numbers and is asked for again and again: kept until one of them is written or
// exchanged. While
// gradients are recorded nothing is kept, since a graph can be walked once only.
template <class T> class Derived {
 public:
  template <class F> T get(const std::vector<Tensor>& from, const std::vector<double>& numbers, F make) {
    std::vector<uint32_t> versions;
    for (const Tensor& x : from) versions.push_back(x.impl()->storage->version);
    bool same = value_.has_value() && numbers == numbers_ && versions == versions_ && from.size() == from_.size();
    for (size_t i = 0; same && i < from.size(); ++i) same = from[i].shares_storage(from_[i]);
    if (same) return *value_;
    T made = make();
    if (grad_enabled()) return made;
    from_.clear();
    for (const Tensor& x : from) from_.push_back(x.detach());
    versions_ = std::move(versions), numbers_ = numbers, value_ = made;
    return made;
  }

 private:
  std::vector<Tensor> from_;  // held, so that no other tensor gets their memory
  std::vector<uint32_t> versions_;
  std::vector<double> numbers_;
  std::optional<T> value_;
};

}  // namespace ink
