// Layers one after the other: Sequential net(Linear(64, 32), Relu(), Linear(32, 10)).
#pragma once
#include <type_traits>

#include "nn/any.h"
#include "nn/module.h"

namespace ink {

class Sequential : public Module {
 public:
  Sequential();
  Sequential(const Sequential& other);  // copies the layers
  Sequential(Sequential&& other) noexcept;
  Sequential& operator=(Sequential other);
  ~Sequential() override;
  // Modules with Tensor forward(const Tensor&), or callables Tensor(const Tensor&).
  template <class... L>
  requires(sizeof...(L) > 1 ||
           (!std::is_same_v<std::remove_cvref_t<L>, Sequential> && ...)) explicit Sequential(L... layers) {
    (add(std::move(layers)), ...);
  }
  template <class L> Sequential& add(L layer) {
    return append(std::unique_ptr<Layer>(new Holder<L>(std::move(layer))));
  }
  Tensor forward(const Tensor& x);
  size_t size() const;
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
    std::unique_ptr<Layer> clone() const override { return std::unique_ptr<Layer>(new Holder(layer)); }
  };
  Sequential& append(std::unique_ptr<Layer> layer);
  std::vector<Any<Layer>> layers_;
};

}  // namespace ink
