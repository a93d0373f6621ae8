// Fused kernels over rows, graph-free: softmax, normalisation, cross entropy, variance. f16 and bf16 are computed in
// f32 and rounded once; integers are cast to f32.
#pragma once
#include <array>

#include "tensor/raw/raw.h"

namespace ink::raw {

struct SoftmaxForm {
  int dim;
  bool log = false, causal = false;  // causal: over the last dim of [..., queries, keys]
};
Tensor softmax(const char* op, const Tensor& x, const SoftmaxForm& form);
Tensor softmax_backward(const char* op, const Tensor& dy, const Tensor& y, const SoftmaxForm& form);

// {y, mean [rows], rstd [rows]}; mean is undefined for RMS norm. weight and bias may be undefined, else they hold
// groups * cols / inner values. args.dtype is filled in here.
std::array<Tensor, 3> norm(const char* op, NormArgs args, const Tensor& x, const Tensor& weight, const Tensor& bias);
// {dx, dweight, dbias}, the last two as [groups * cols / inner]; one that is not wanted stays undefined.
std::array<Tensor, 3> norm_backward(const char* op, NormArgs args, const std::array<bool, 3>& wanted, const Tensor& dy,
                                    const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& rstd);

// {loss [rows], log-sum-exp [rows]} of logits [rows, classes]; targets are checked already.
std::array<Tensor, 2> cross_entropy(const char* op, CrossEntropyArgs args, const Tensor& logits, const Tensor& target);
Tensor cross_entropy_backward(const char* op, CrossEntropyArgs args, const Tensor& dloss, const Tensor& logits,
                              const Tensor& lse, const Tensor& target);

// {variance, mean} over the last dim of x.
std::array<Tensor, 2> var_mean(const char* op, const Tensor& x, double correction);

}  // namespace ink::raw
