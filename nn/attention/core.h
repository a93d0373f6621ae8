// What stands between the projections of multi-head attention and can be exchanged: AttentionCore, and the state that
// each keeps while a sequence goes on token by token.
#pragma once
#include <memory>

#include "nn/module.h"

namespace ink {

// What a layer remembers of the tokens before. Softmax kinds keep their keys and values, which grow; linear kinds a
// sum, which does not. Undefined at the start. A value: a copy continues on its own (the tensors in it are replaced,
// never written).
struct AttentionState {
  int64_t time = 0;   // tokens seen
  Tensor key, value;  // [batch, heads, time, width]
  // linear kinds: S [batch, heads, features, width], z [batch, heads, features], and what else they need
  Tensor sum, norm, extra;
  void append(const Tensor& k, const Tensor& v);  // the keys and values of the next tokens
  int64_t bytes() const;                          // of all tensors
};

// Who turns queries and keys by their positions (rotary, nn/attention/position.h): whoever calls, since weights come
// from q . k; the core itself, after its feature maps; nobody, since it has no such products.
enum class Rotation { outside, inside, never };

struct AttentionCore : Module {
  // q, k, v [batch, heads, time, width] -> [batch, heads, time, width]. `mask` is a bool tensor that broadcasts to
  // [batch, heads, time, time], true where a key may be seen, or undefined. NotSupported, with the reason, by kinds
  // that cannot use one.
  virtual Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const = 0;
  // The next tokens of a sequence: the same as the last rows of attend() over all of it. NotSupported by kinds without
  // a causal form.
  virtual Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const;
  virtual std::unique_ptr<AttentionCore> clone() const = 0;
  virtual const char* name() const = 0;
  virtual bool shares_query_and_key() const { return false; }  // Reformer: k is q, normalised
  virtual bool takes_grouped_heads() const { return false; }   // k and v may have fewer heads than q
  virtual Rotation rotation() const { return Rotation::outside; }
};

// A core with its own copies: what holds one can be copied like any other module.
class AnyCore {
 public:
  AnyCore(std::unique_ptr<AttentionCore> core) : core_(std::move(core)) {}
  AnyCore(const AnyCore& o) : core_(o.core_->clone()) {}
  AnyCore(AnyCore&&) = default;
  AnyCore& operator=(AnyCore o) {
    core_ = std::move(o.core_);
    return *this;
  }
  AttentionCore& operator*() const { return *core_; }
  AttentionCore* operator->() const { return core_.get(); }

 private:
  std::unique_ptr<AttentionCore> core_;
};

// struct SoftmaxCore : Core<SoftmaxCore> { ... }: clone() by the copy constructor.
template <class Derived>
struct Core : AttentionCore {
  std::unique_ptr<AttentionCore> clone() const override {
    return std::make_unique<Derived>(static_cast<const Derived&>(*this));
  }
};

}  // namespace ink
