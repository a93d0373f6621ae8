// Stochastic gradient descent.
#pragma once
#include "optim/optimizer.h"

namespace ink {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;      // v = momentum v + g, p -= lr v; the first v is g
  bool nesterov = false;    // p -= lr (g + momentum v)
  double weight_decay = 0;  // added to the gradient: g + weight_decay p
};

extern template class OptimizerWith<SGDOptions>;

class SGD : public OptimizerWith<SGDOptions> {
 public:
  SGD(const std::vector<Tensor>& params, const SGDOptions& options = {});
  explicit SGD(const std::vector<Group<SGDOptions>>& groups);
  void step() override;
};

}  // namespace ink
