// The block of S4 models.
#include "nn/ssm/s4/s4_block.h"

#include "autograd/ops.h"

namespace ink {

SsmGlu::SsmGlu(int64_t dim, AnyMixer layer, double dropout) : ssm(std::move(layer)), drop(dropout), out(dim, 2 * dim) {
  if (!ssm) throw ValueError("SsmGlu: got an empty mixer; hint: mixer(\"name\", layer)");
}

Tensor SsmGlu::mixed(const Tensor& y) const {
  const std::vector<Tensor> halves = chunk(out.forward(drop.forward(gelu(y))), 2, -1);
  return halves[0] * sigmoid(halves[1]);
}

Tensor SsmGlu::step(const Tensor& x, State& state) const {
  const Tensor y = ssm->step(x, state.ssm);
  state.time += x.size(1);
  return mixed(y);
}

void SsmGlu::fields(Fields& f) {
  ssm->fields(f);
  f("drop", drop)("out", out);
}

TransformerBlock s4_block(int64_t dim, AnyMixer ssm, double dropout) {
  return TransformerBlock(dim, {mixer("mixer", SsmGlu(dim, std::move(ssm), dropout))}, dropout);
}

}  // namespace ink
