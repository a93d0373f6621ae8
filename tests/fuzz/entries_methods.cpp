// Entries of what a tensor offers beside the ops: writes in place, access to elements, gradients.
#include "tests/fuzz/fuzz.h"

namespace ink::test {

void add_methods(Entries& e) {
#define IN_PLACE(name, ...)                   \
  add(                                        \
      e, "Tensor::" #name, nullptr,           \
      [](const Tensor& x, const auto&... a) { \
        Tensor y = x.detach().clone();        \
        y.name(a...);                         \
        return y;                             \
      },                                      \
      __VA_ARGS__)
  for (int i = 0; i < 2; ++i) {
    Sample x = i ? X(ones({2, 3}, i64)) : X(ones({2, 3})), y = i ? X(ones({3}, i64)) : X(ones({3}));
    IN_PLACE(add_, x, y, Scalar(2));
    IN_PLACE(sub_, x, y);
    IN_PLACE(mul_, x, y);
    IN_PLACE(add_, x, Scalar(2));
    IN_PLACE(sub_, x, Scalar(2));
    IN_PLACE(mul_, x, Scalar(2));
    IN_PLACE(fill_, x, Scalar(2));
    IN_PLACE(copy_, x, y);
  }
  IN_PLACE(div_, X(ones({2, 3})), X(ones({3})));
  IN_PLACE(div_, X(ones({2, 3})), Scalar(2));
  IN_PLACE(zero_, X(ones({2, 3})));
  IN_PLACE(uniform_, X(ones({2, 3})), 0., 1.);
  IN_PLACE(uniform_, X(ones({2, 3}, f16)), 0., 1.);
  IN_PLACE(normal_, X(ones({2, 3})), 0., 1.);
  IN_PLACE(requires_grad_, X(ones({2, 3})), true);
  add(
      e, "Tensor::index_put_", "{}.index_put_({{{}}}, {}, {})",
      [](const Tensor& x, const Tensor& i, const Tensor& v, bool b) {
        Tensor y = x.detach().clone();
        y.index_put_({i}, v, b);
        return y;
      },
      X(ones({4, 3})), X(ones({2}, i64)), X(ones({2, 3})), false);
  add(
      e, "Tensor::index_put_", "{}.index_put_({{Slice({}, {}, {})}}, {})",
      [](const Tensor& x, int64_t a, int64_t b, int64_t c, const Tensor& v) {
        Tensor y = x.detach().clone();
        y.index_put_({Slice(a, b, c)}, v);
        return y;
      },
      X(ones({4, 3})), 0, 2, 1, X(ones({2, 3})));
  add(
      e, "Tensor::size", "{}.size({})", [](const Tensor& x, int64_t d) { return x.size(d) < 0; }, X(ones({2, 3})), 0);
  add(
      e, "Tensor::stride", "{}.stride({})", [](const Tensor& x, int64_t d) { return x.stride(d) < 0; }, X(ones({2, 3})),
      0);
  add(
      e, "Tensor::operator[]", "{}[{}]", [](const Tensor& x, int64_t i) { return x[i]; }, X(ones({2, 3})), 0);
  add(
      e, "Tensor::item", "{}.item()", [](const Tensor& x) { return x.item() > 0; }, X(ones({1})));
  add(
      e, "Tensor::to_vector", "{}.to_vector<int64_t>()", [](const Tensor& x) { return x.to_vector<int64_t>().empty(); },
      X(ones({2, 3})));
  add(
      e, "Tensor::to_vector", "{}.to_vector<float>()", [](const Tensor& x) { return x.to_vector<float>().empty(); },
      X(ones({2, 3}, f64)));
  add(
      e, "Tensor::str", "{}.str()", [](const Tensor& x) { return x.str().empty(); }, X(ones({2, 3})));
  add(
      e, "Tensor::str", "{}.str()", [](const Tensor& x) { return x.str().empty(); }, X(ones({2, 3}, i64)));
  add(
      e, "Tensor::span", "{}.span<float>()", [](const Tensor& x) { return x.span<float>().empty(); },
      X(ones({2, 3}, Options(f32, Device::cpu()))));
  add(
      e, "Tensor::t", "{}.t()", [](const Tensor& x) { return x.t(); }, X(ones({2, 3})));
  add(
      e, "Tensor::set_grad", "{}.set_grad({})",
      [](const Tensor& x, const Tensor& g) {
        Tensor y = x.detach().clone().requires_grad_();
        y.set_grad(g);
        return y.grad();
      },
      X(ones({2, 3})), X(ones({2, 3})));
  add(
      e, "Tensor::backward", "{}.backward({})",
      [](const Tensor& x, const Tensor& g) {
        Tensor y = x.detach().clone().requires_grad_();
        mul(y, 2).backward(g);
        return y.grad();
      },
      X(ones({2, 3})), X(ones({2, 3})));
}

Entries all_entries() {
  Entries e;
  for (auto* part : {add_making, add_elementwise, add_reductions, add_shapes, add_indices, add_products, add_layers,
                     add_attention, add_methods})
    part(e);
  return e;
}

}  // namespace ink::test
