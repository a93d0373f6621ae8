// Adam (Kingma & Ba 2015, alg. 1) with decoupled weight decay (Loshchilov & Hutter 2019, alg. 2): one pass over the
// four arrays of every parameter, all parameters in one parallel region.
#include "tensor/cpu/row.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

// The operations and their order are those of torch.optim.AdamW.
template <class T> void step(const AdamArgs& a, int64_t begin, int64_t end) {
  using P = Lanes<T>;
  T *param = static_cast<T*>(a.param) + begin, *m = static_cast<T*>(a.m) + begin, *v = static_cast<T*>(a.v) + begin;
  const T* grad = static_cast<const T*>(a.grad) + begin;
  P decay(T(1 - a.lr * a.weight_decay)), scale(T(a.grad_scale)), eps(T(a.eps));
  P beta1(T(a.beta1)), rest1(T(1 - a.beta1)), beta2(T(a.beta2)), rest2(T(1 - a.beta2));
  P rate(T(a.lr / a.correction1)), root2(T(sqrt(a.correction2)));
  for_packs<T>(end - begin, [&](int64_t i, auto k) {
    P g = load(grad + i, k) * scale;
    P mi = load(m + i, k) * beta1 + rest1 * g;      // (0.8)
    P vi = load(v + i, k) * beta2 + rest2 * g * g;  // (0.9)
    store(m + i, mi, k);
    store(v + i, vi, k);
    store(param + i, load(param + i, k) * decay - rate * mi / (sqrt(vi) / root2 + eps), k);  // (0.12)
  });
}

}  // namespace

void adam(const AdamArgs* params, int64_t count) {
  int64_t total = 0;
  for (int64_t p = 0; p < count; ++p) total += params[p].n;
  parallel_for(total, 32768, [&](int64_t begin, int64_t end) {  // positions in all parameters laid end to end
    for (int64_t p = 0, first = 0; first < end; first += params[p++].n) {
      int64_t from = begin > first ? begin - first : 0, to = end - first < params[p].n ? end - first : params[p].n;
      if (from < to) visit_float(params[p].dtype, [&]<class T>() { step<T>(params[p], from, to); });
    }
  });
}

}  // namespace ink::INK_CPU_LEVEL
