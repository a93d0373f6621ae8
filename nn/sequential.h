// Layers one after the other: Sequential net(Linear(64, 32), Relu(), Linear(32, 10)).
#pragma once
#include <type_traits>

#include "nn/any.h"
#include "nn/module.h"

namespace ink {

class Sequential : public Module {
 public:
  Sequential() = default;
  // Modules with Tensor forward(const Tensor&), or callables Tensor(const Tensor&).
  template <class... L>
  requires(sizeof...(L) > 1 ||
           (!std::is_same_v<std::remove_cvref_t<L>, Sequential> && ...)) explicit Sequential(L... layers) {
    (add(std::move(layers)), ...);
  }
  template <class L> Sequential& add(L layer) {
    layers_.emplace_back(std::make_unique<Holder<L>>(std::move(layer)));
    return *this;
  }
  Tensor forward(const Tensor& x);
  size_t size() const { return layers_.size(); }
  // Layer i: `net.at<Linear>(0).weight`. IndexError if there is none, ValueError if it is a callable or (at) of another
  // type.
  Module& operator[](size_t i);
  template <std::derived_from<Module> M> M& at(size_t i) {
    if (auto* m = dynamic_cast<M*>(&(*this)[i])) return *m;
    throw ValueError("Sequential: layer " + std::to_string(i) + " is of another type");
  }
  void fields(Fields& f) override;

 private:
  struct Layer {
    virtual ~Layer();
    virtual Tensor forward(const Tensor& x) = 0;
    virtual void name(Fields& f, const std::string& name) = 0;
    virtual Module* module() = 0;  // null for a callable
    virtual std::unique_ptr<Layer> clone() const = 0;
  };
  template <class L> struct Holder : Layer {
    L layer;
    explicit Holder(L l) : layer(std::move(l)) {}
    Tensor forward(const Tensor& x) override {
      if constexpr (std::derived_from<L, Module>)
        return layer.forward(x);
      else
        return layer(x);
    }
    void name(Fields& f, const std::string& name) override {
      if constexpr (std::derived_from<L, Module>) f(name, layer);
    }
    Module* module() override {
      if constexpr (std::derived_from<L, Module>)
        return &layer;
      else
        return nullptr;
    }
    std::unique_ptr<Layer> clone() const override { return std::make_unique<Holder>(layer); }
  };
  std::vector<Any<Layer>> layers_;
};

}  // namespace ink
