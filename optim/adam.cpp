// Adam and AdamW through one fused kernel, Lion, and others with moments.
#include "optim/adam.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/capture.h"
#include "tensor/raw/raw.h"

namespace ink {

template class OptimizerWith<AdamOptions>;
template class OptimizerWith<LionOptions>;

namespace {
template <class O> void check(const char* name, const std::vector<Group<O>>& groups) {
  for (const Group<O>& g : groups) {
    check_option(name, "lr", g.options.lr);
    check_option(name, "weight_decay", g.options.weight_decay);
    check_option(name, "beta1", g.options.beta1, 1);
    check_option(name, "beta2", g.options.beta2, 1);
  }
}
std::vector<Group<AdamOptions>> as_adam(const std::vector<Group<AdamWOptions>>& groups) {
  std::vector<Group<AdamOptions>> same;
  for (auto& [params, o] : groups)
    same.push_back(
        {params, {.lr = o.lr, .beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps, .weight_decay = o.weight_decay}});
  return same;
}
}  // namespace

Adam::Adam(const std::vector<Group<AdamOptions>>& groups) : OptimizerWith({"m", "v"}, groups) {
  check("Adam", groups);
  for (const Group<AdamOptions>& g : groups) check_option("Adam", "eps", g.options.eps);
  refuse_halves();
}
void Adam::refuse_halves() {
  for (int64_t i = 0; i < num_groups(); ++i)
    for (const Slots& s : group(i))
      if (is_half(s.param.dtype()))
        throw DTypeError(
            fmt::format("Adam: 16-bit parameters lose small updates; got {}; hint: keep f32 master weights",
                        name_of(s.param.dtype())));
}
AdamW::AdamW(const std::vector<Group<AdamWOptions>>& groups) : Adam(as_adam(groups)) {}
Lion::Lion(const std::vector<Group<LionOptions>>& groups) : OptimizerWith({"m"}, groups) { check("Lion", groups); }

Adam::Adam(const std::vector<Tensor>& params, const AdamOptions& options)
    : Adam(std::vector<Group<AdamOptions>>{{params, options}}) {}
AdamW::AdamW(const std::vector<Tensor>& params, const AdamWOptions& options)
    : AdamW(std::vector<Group<AdamWOptions>>{{params, options}}) {}
Lion::Lion(const std::vector<Tensor>& params, const LionOptions& options)
    : Lion(std::vector<Group<LionOptions>>{{params, options}}) {}
void Adam::step() { update(false); }
void AdamW::step() { update(true); }

double Adam::correction(double beta, const Slots& s) { return 1 - std::pow(beta, double(s.steps)); }

void Adam::update(bool decoupled) {
  NoGrad guard;
  refuse_halves();  // again: the model may have been cast since
  std::vector<AdamArgs> args;
  const bool captured = capture::active();
  std::vector<Slots*> slots;  // of each args, in a captured step
  std::vector<int64_t> groups;
  std::vector<Tensor> gradients;                      // kept until the kernel has run
  std::vector<std::pair<Tensor, Tensor>> rearranged;  // parameters that are not contiguous, and a copy that is
  const Tensor* any = nullptr;
  for (int64_t i = 0; i < num_groups(); ++i) {
    const AdamOptions& o = options(i);
    for (Slots& s : group(i)) {
      Tensor g = begin(s);
      if (!g.defined()) continue;
      if (!decoupled && o.weight_decay != 0) g = contiguous(add(g, s.param, o.weight_decay));
      gradients.push_back(g);
      any = &s.param;
      raw::bump_version(s.param, "Adam");
      Tensor dense = raw::contiguous(s.param);
      if (!s.param.is_contiguous()) rearranged.emplace_back(s.param, dense);
      if (captured) slots.push_back(&s), groups.push_back(i);
      args.push_back({.dtype = s.param.dtype(),
                      .n = s.param.numel(),
                      .param = dense.raw_data(),
                      .grad = gradients.back().raw_data(),
                      .m = s.state[0].raw_data(),
                      .v = s.state[1].raw_data(),
                      .lr = o.lr,
                      .beta1 = o.beta1,
                      .beta2 = o.beta2,
                      .eps = o.eps,
                      .weight_decay = decoupled ? o.weight_decay : 0,
                      .correction1 = correction(o.beta1, s),
                      .correction2 = correction(o.beta2, s),
                      .grad_scale = 1});
    }
  }
  if (captured && any) {  // each replay is a step: it counts, and reads the options anew
    for (Slots* s : slots) --s->steps;
    auto refresh = [this, slots, groups](void* out) {
      for (size_t k = 0; k < slots.size(); ++k) {
        const AdamOptions& o = options(groups[k]);
        ++slots[k]->steps;
        const double now[] = {o.lr, correction(o.beta1, *slots[k]), correction(o.beta2, *slots[k])};
        std::copy_n(now, 3, static_cast<double*>(out) + 3 * k);
      }
    };
    Tensor live = capture::live(int64_t(3 * sizeof(double) * args.size()), refresh);
    for (size_t k = 0; k < args.size(); ++k) args[k].live = static_cast<const double*>(live.raw_data()) + 3 * k;
  }
  if (any) raw::kernels_of(*any).adam(args.data(), int64_t(args.size()));
  for (auto& [param, dense] : rearranged) param.copy_(dense);
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
      if (capture::active())  // a replay reads the options anew
        s.param.mul_(live_number([this, i] { return 1 - options(i).lr * options(i).weight_decay; }, g.options()))
            .sub_(direction * live_number([this, i] { return options(i).lr; }, g.options()));
      else
        s.param.mul_(Scalar(1 - o.lr * o.weight_decay)).add_(direction, -o.lr);
      m.copy_(lerp(m, g, 1 - o.beta2));
    }
  }
}

}  // namespace ink
