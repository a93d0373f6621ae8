#include "optim/adam.h"

#include <cmath>

#include "autograd/mode.h"
#include "autograd/ops.h"
#include "tensor/raw.h"

namespace ink {

void Adam::update(bool decoupled) {
  NoGrad guard;
  std::vector<AdamArgs> args;
  std::vector<Tensor> gradients, widened;  // kept until the kernel has run
  const Tensor* any = nullptr;
  for (int64_t i = 0; i < num_groups(); ++i) {
    const AdamOptions& o = options(i);
    for (Slots& s : group(i)) {
      Tensor g = begin(s);
      if (!g.defined()) continue;
      if (!decoupled && o.weight_decay != 0) g = contiguous(add(g, s.param, o.weight_decay));
      if (is_half(s.param.dtype())) throw DTypeError("Adam: 16-bit parameters lose small updates; got f16 or bf16; hint: keep f32 master weights");
      gradients.push_back(g);
      any = &s.param;
      raw::bump_version(s.param, "Adam");
      args.push_back({.dtype = s.param.dtype(), .n = s.param.numel(), .param = s.param.raw_data(), .grad = gradients.back().raw_data(),
                      .m = s.state[0].raw_data(), .v = s.state[1].raw_data(), .lr = o.lr, .beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps,
                      .weight_decay = decoupled ? o.weight_decay : 0, .correction1 = 1 - std::pow(o.beta1, double(s.steps)),
                      .correction2 = 1 - std::pow(o.beta2, double(s.steps)), .grad_scale = 1});
    }
  }
  if (any) raw::kernels_of(*any).adam(args.data(), int64_t(args.size()));
}

void Lion::step() {
  NoGrad guard;
  for (int64_t i = 0; i < num_groups(); ++i) {
    const LionOptions& o = options(i);
    for (Slots& s : group(i)) {
      Tensor g = begin(s);
      if (!g.defined()) continue;
      Tensor& m = s.state[0];
      Tensor direction = sign(lerp(m, g, 1 - o.beta1));
      s.param.mul_(Scalar(1 - o.lr * o.weight_decay)).add_(direction, -o.lr);
      m.copy_(lerp(m, g, 1 - o.beta2));
    }
  }
}

}  // namespace ink
