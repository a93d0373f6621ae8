// Golden files: what another framework computed; tests/golden/make_golden.py says how the names are made.
#pragma once
#include <string>
#include <vector>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "inkstone/testing.h"
#include "tensor/io.h"

namespace ink::test {

class Golden {
 public:
  explicit Golden(const std::string& file) : entries_(load_npz(INK_SOURCE_DIR "/tests/golden/" + file)) {
    for (auto& [name, t] : entries_) t = t.to(default_device());
  }
  const Tensor& operator()(const std::string& name) const {
    for (const auto& [n, t] : entries_)
      if (n == name) return t;
    throw ValueError("golden file: no entry " + name);
  }

 private:
  NamedTensors entries_;
};

// f64 roundings of sums of up to 64 terms.
inline std::string differs(const std::string& what, const Tensor& got, const Tensor& expected) {
  auto r = verify::close(got.detach(), expected, verify::tolerance(f64, 64));
  return r ? "" : what + ": " + r.message + "\n";
}

// Gives the layer the golden parameters, in f64. A name the file does not have throws.
inline void load_golden(const Golden& golden, const std::string& name, Module& layer) {
  NoGrad guard;
  layer.to(f64);
  for (auto& [n, p] : layer.named_parameters()) {
    if (!(p.shape() == golden(name + ".param." + n).shape())) throw ShapeError("golden file: shape of " + n);
    p.copy_(golden(name + ".param." + n));
  }
}

// Output, gradients of the inputs and of all parameters against the file; "" or what differs. forward takes the inputs
// in the order of their names.
template <class F>
std::string layer_differs(const Golden& golden, const std::string& name, Module& layer, F forward,
                          const std::vector<std::string>& inputs = {"x"}) {
  load_golden(golden, name, layer);
  layer.zero_grad();
  std::vector<Tensor> in;
  for (const std::string& i : inputs) {
    in.push_back(golden(name + "." + i).clone());
    if (is_floating(in.back().dtype())) in.back().requires_grad_();
  }
  Tensor y = forward(in);
  std::string text = differs(name + ".y", y, golden(name + ".y"));
  y.backward(golden(name + ".g"));
  for (size_t i = 0; i < in.size(); ++i)
    if (in[i].requires_grad()) text += differs(name + ".d" + inputs[i], in[i].grad(), golden(name + ".d" + inputs[i]));
  for (auto& [n, p] : layer.named_parameters())
    text += differs(name + ".grad." + n, p.grad(), golden(name + ".grad." + n));
  return text;
}

}  // namespace ink::test
