#include "optim/sgd.h"

#include "autograd/mode.h"
#include "autograd/ops.h"

namespace ink {

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
    for (Slots& s : group(i)) {
      Tensor g = begin(s);
      if (!g.defined()) continue;
      if (o.weight_decay != 0) g = add(g, s.param, o.weight_decay);
      if (o.momentum != 0) {
        Tensor& v = s.state[0];
        v.mul_(Scalar(o.momentum)).add_(g);
        g = o.nesterov ? add(g, v, o.momentum) : v;
      }
      s.param.add_(g, -o.lr);
    }
  }
}

}  // namespace ink
