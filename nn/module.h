// Module: a layer or model. Its parameters are plain members; `fields` names them, and everything else (parameters,
// state dict, to, train, summary, ...) walks the fields.
//
//   struct Affine : Module {
//     Param weight, bias;
//     Affine(int64_t in, int64_t out) : weight(init::kaiming_uniform({out, in})), bias(zeros({out})) {}
//     Tensor forward(const Tensor& x) const { return linear(x, weight, bias); }
//     void fields(Fields& f) override { f("weight", weight)("bias", bias); }
//   };
//
// Copies of a module are independent: Param and Buffer copy deeply. One weight used in two places (a head that shares
// the embedding's) is therefore one Param that forward uses twice, not two that are tied:
//
//   Tensor forward(const Tensor& ids) const { return linear(body.forward(tokens.forward(ids)), tokens.weight); }
//
// It is counted, copied, saved and loaded once, and both uses add to its gradient.
#pragma once
#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "nn/state.h"
#include "tensor/function_ref.h"
#include "tensor/tensor.h"

namespace ink {

class Module;

// A tensor that belongs to a module. Copying copies the elements; assigning replaces the contents behind the same
// handle, so optimizers, EMA and others that hold the handle never hold a stale one. May be undefined (an absent bias).
class Owned : public Tensor {
 public:
  Owned(const Owned& other);
  Owned(Owned&& other) = default;
  Owned& operator=(const Owned& other) { return *this = static_cast<const Tensor&>(other); }
  Owned& operator=(const Tensor& contents);
  // The tensor itself as the contents, with its memory, shape, dtype and device, instead of a copy: what is written to
  // either is seen in both. Gets a gradient if the contents before did. ValueError for an undefined or strided one.
  void adopt(const Tensor& contents);

 protected:
  Owned(Tensor t, bool gradient);
};
struct Param : Owned {  // gets a gradient and is handed to optimizers
  Param() : Owned(Tensor(), true) {}
  Param(Tensor t) : Owned(std::move(t), true) {}
  Param& operator=(const Tensor& contents) {
    bool absent = !defined();
    Owned::operator=(contents);
    if (absent && defined()) requires_grad_();  // an absent bias that is given values is trained like any other
    return *this;
  }
};
struct Buffer : Owned {  // state without a gradient: running statistics, masks, tables
  Buffer() : Owned(Tensor(), false) {}
  Buffer(Tensor t) : Owned(std::move(t), false) {}
  using Owned::operator=;
};

// What Module::fields talks to.
class Fields {
 public:
  virtual ~Fields() = default;
  virtual void param(std::string_view name, Param& p) = 0;
  virtual void buffer(std::string_view name, Buffer& b) = 0;
  virtual void child(std::string_view name, Module& m) = 0;
  virtual void extent(const Module&, size_t) {}  // called before child: the object that follows has so many bytes

  Fields& operator()(std::string_view name, Param& p) { return param(name, p), *this; }
  Fields& operator()(std::string_view name, Buffer& b) { return buffer(name, b), *this; }
  template <std::derived_from<Module> M> Fields& operator()(std::string_view name, M& m) {
    return extent(m, sizeof(M)), child(name, m), *this;
  }
  template <class M> Fields& operator()(std::string_view name, std::vector<M>& list) {  // name.0, name.1, ...
    for (size_t i = 0; i < list.size(); ++i) (*this)(std::string(name) + "." + std::to_string(i), list[i]);
    return *this;
  }
  template <std::derived_from<Module> M> Fields& operator()(std::string_view name, std::unique_ptr<M>& m) {
    return m ? (*this)(name, *m) : *this;
  }
  template <std::derived_from<Module> M> Fields& operator()(std::string_view name, std::optional<M>& m) {
    return m ? (*this)(name, *m) : *this;
  }
};

class Module {
 public:
  virtual ~Module();
  // Names every Param, Buffer and child, in the order they should appear.
  virtual void fields(Fields&) {}

  // Handles to the parameters, each once even if shared. Names are paths: "blocks.0.attention.query.weight".
  std::vector<Tensor> parameters();
  NamedTensors named_parameters();
  NamedTensors named_buffers();
  std::vector<std::pair<std::string, Module*>> named_modules();  // this one first, with an empty name
  int64_t num_parameters();
  // Calls f(module), or f(path, module), for this module and every one below it.
  template <class F> void apply(F f) {
    each_module([&f](const std::string& name, Module& m) {
      if constexpr (std::is_invocable_v<F, Module&>)
        f(m);
      else
        f(name, m);
    });
  }

  void to(DType dtype);  // floating point parameters and buffers; gradients are dropped
  void to(Device device);
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }
  void zero_grad();
  void requires_grad_(bool on);  // freeze (false) or unfreeze all parameters

  NamedTensors state_dict();  // parameters and buffers, as detached handles
  // Copies a state dict into the fields, cast to their dtypes. ShapeError on a different shape, DTypeError on complex
  // values for real ones or fractions for integers; ValueError listing missing and unknown names if strict. Nothing is
  // changed when it throws.
  void load_state_dict(const NamedTensors& state, bool strict = true);
  // The tensors of a state dict become the fields, with their memory, dtypes and devices, instead of being copied. All
  // names must be there. Errors as above, and ValueError for a strided tensor; nothing is changed by the former.
  void adopt_state_dict(const NamedTensors& state);
  PreparedState prepare_state(const NamedTensors& state, bool strict = true);  // the first half: nothing is changed yet
  void save(const std::string& path);                                          // safetensors
  void load(const std::string& path, bool strict = true);

  std::string summary();  // a table of modules, parameter shapes and counts

 protected:
  Module();
  Module(const Module& other) noexcept;  // moving does the same, and vectors move what does not throw
  Module& operator=(const Module&) = default;

 private:
  void each_module(FunctionRef<void(const std::string&, Module&)> f);
  bool training_ = true;
};

// Finds what was forgotten in fields(): a GradError names (by shape and the op that uses it) a leaf that gets a
// gradient from `loss` but stands in no field; a ValueError names (by type) a module that is a member but stands in no
// field, so that train(), eval() and to() do not reach it: a Dropout that goes on dropping. Members are what lies in
// the memory of the object or of a module named in its fields, by the type it has there: not what it holds by pointer
// or in a container.
void check_covers(const Tensor& loss, Module& module, size_t bytes);
template <std::derived_from<Module> M> void check_covers(const Tensor& loss, M& module) {
  check_covers(loss, module, sizeof(M));
}

}  // namespace ink
