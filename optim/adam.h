// Adam and AdamW, each step one pass over all parameters; and Lion.
#pragma once
#include "optim/optimizer.h"

namespace ink {

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
};

extern template class OptimizerWith<AdamOptions>;

// Kingma & Ba 2015, algorithm 1; weight decay is added to the gradient. ValueError for options outside their range,
// DTypeError for f16 and bf16 parameters.
class Adam : public OptimizerWith<AdamOptions> {
 public:
  Adam(const std::vector<Tensor>& params, const AdamOptions& options = {});
  explicit Adam(const std::vector<Group<AdamOptions>>& groups);
  void step() override;

 protected:
  void update(bool decoupled);

 private:
  void refuse_halves();
  static double correction(double beta, const Slots& s);  // 1 - beta^t, what a mean of t gradients lacks
};

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0.01;
};

// Loshchilov & Hutter 2019, algorithm 2: weight decay shrinks the parameter by lr * weight_decay instead.
class AdamW : public Adam {
 public:
  AdamW(const std::vector<Tensor>& params, const AdamWOptions& options = {});
  explicit AdamW(const std::vector<Group<AdamWOptions>>& groups);
  void step() override;
};

struct LionOptions {
  double lr = 1e-4;
  double beta1 = 0.9, beta2 = 0.99;
  double weight_decay = 0;  // decoupled
};

extern template class OptimizerWith<LionOptions>;

// Chen et al. 2023, algorithm 2: p -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay p), m = beta2 m + (1 - beta2) g.
class Lion : public OptimizerWith<LionOptions> {
 public:
  Lion(const std::vector<Tensor>& params, const LionOptions& options = {});
  explicit Lion(const std::vector<Group<LionOptions>>& groups);
  void step() override;
};

}  // namespace ink
