// Stochastic gradient descent with momentum.
#include "optim/sgd.h"

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/capture.h"

namespace ink {

template class OptimizerWith<SGDOptions>;

SGD::SGD(const std::vector<Tensor>& params, const SGDOptions& options)
    : SGD(std::vector<Group<SGDOptions>>{{params, options}}) {}
SGD::SGD(const std::vector<Group<SGDOptions>>& groups) : OptimizerWith({"momentum"}, groups) {
  for (auto& g : groups) {
    check_option("SGD", "lr", g.options.lr);
    check_option("SGD", "momentum", g.options.momentum);
    check_option("SGD", "weight_decay", g.options.weight_decay);
    if (g.options.nesterov && g.options.momentum <= 0) throw ValueError("SGD: Nesterov needs momentum > 0");
  }
}

void SGD::step() {
  NoGrad guard;
  for (int64_t i = 0; i < num_groups(); ++i) {
    const SGDOptions& o = options(i);
    Tensor rate;  // in a captured step: read from the device, as it is at each replay
    for (Slots& s : group(i)) {
      Tensor g = begin(s);
      if (!g.defined()) continue;
      if (o.weight_decay != 0) g = add(g, s.param, o.weight_decay);
      if (o.momentum != 0) {
        Tensor& v = s.state[0];
        v.mul_(Scalar(o.momentum)).add_(g);
        g = o.nesterov ? add(g, v, o.momentum) : v;
      }
      if (!capture::active()) {
        s.param.add_(g, -o.lr);
        continue;
      }
      if (!rate.defined()) rate = live_number([this, i] { return -options(i).lr; }, g.options());
      s.param.add_(g * rate);
    }
  }
}

}  // namespace ink
