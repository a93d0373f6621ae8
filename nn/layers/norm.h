// Normalisation layers.
#pragma once
#include "nn/module.h"

namespace ink {

struct LayerNorm : Module {  // over the last dim; Ba et al. 2016
  Param weight, bias;
  double eps;
  explicit LayerNorm(int64_t dim, double eps = 1e-5);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};

struct RMSNorm : Module {  // x / sqrt(mean(x^2) + eps) * weight; Zhang & Sennrich 2019
  Param weight;
  double eps;
  explicit RMSNorm(int64_t dim, double eps = 1e-6);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight); }
};

struct GroupNorm : Module {  // [batch, channels, ...]: over each group of channels; Wu & He 2018
  int64_t groups;
  Param weight, bias;
  double eps;
  GroupNorm(int64_t groups, int64_t channels, double eps = 1e-5);
  Tensor forward(const Tensor& x) const;
  void fields(Fields& f) override { f("weight", weight)("bias", bias); }
};

// Over the batch and all positions, per channel of [batch, channels, ...]; Ioffe & Szegedy 2015. Training uses the
// batch's statistics and moves the running ones by `momentum` (the running variance with n / (n - 1)); eval uses the
// running ones.
struct BatchNorm : Module {
  Param weight, bias;
  Buffer running_mean, running_var;
  double eps, momentum;
  explicit BatchNorm(int64_t channels, double eps = 1e-5, double momentum = 0.1);
  Tensor forward(const Tensor& x);
  void fields(Fields& f) override {
    f("weight", weight)("bias", bias)("running_mean", running_mean)("running_var", running_var);
  }

 protected:
  void check_dims(const char* name, const Tensor& x, int low, int high) const;
};
struct BatchNorm1d : BatchNorm {  // [batch, channels] or [batch, channels, length]
  using BatchNorm::BatchNorm;
  Tensor forward(const Tensor& x);
};
struct BatchNorm2d : BatchNorm {  // [batch, channels, h, w]
  using BatchNorm::BatchNorm;
  Tensor forward(const Tensor& x);
};

}  // namespace ink
