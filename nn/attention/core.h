// What stands between the projections of multi-head attention and can be exchanged: AttentionCore, and the state that
// each keeps while a sequence goes on token by token.
#pragma once
#include <memory>
#include <vector>

#include "nn/any.h"
#include "nn/growing_rows.h"
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
  // Whether there is a column for each token (softmax over all of them), and how many; -1 otherwise.
  int64_t columns() const;
  // As LayerState::keep.
  void keep(int64_t first, const Tensor& rest);
  std::vector<Tensor*> tensors();
  int64_t bytes() const;  // of all tensors

 private:
  std::shared_ptr<GrowingRows> key_rows_, value_rows_;  // where append() has room ahead
};

// Who turns queries and keys by their positions (rotary, nn/attention/position.h).
enum class Rotation {
  outside,  // the layer that calls the core: its weights follow from products q . k
  inside,   // the core itself, after its feature maps: a feature of a turned vector is not the turned feature
  never,    // nobody: the core's weights do not follow from products q . k, so turning both tells no distance
};

struct AttentionCore : Module {
  // q, k, v [batch, heads, time, width] -> [batch, heads, time, width]. `mask` is a bool tensor that broadcasts to
  // [batch, heads, time, time], true where a key may be seen, or undefined. NotSupported, with the reason, by kinds
  // that cannot use one.
  virtual Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) const = 0;
  // The next tokens of a sequence: the same as the last rows of attend() over all of it. NotSupported by kinds without
  // a causal form.
  virtual Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state) const;
  // The same where `mask` (bool, broadcast to [batch, heads, time, columns]) shows each new token its columns, those of
  // the state and then the new ones. NotSupported by kinds that weigh by distance or keep no columns.
  virtual Tensor step_seen(const Tensor& q, const Tensor& k, const Tensor& v, AttentionState& state,
                           const Tensor& mask) const;
  virtual bool takes_step_mask() const { return false; }
  virtual std::unique_ptr<AttentionCore> clone() const = 0;
  virtual const char* name() const = 0;
  virtual bool shares_query_and_key() const { return false; }  // Reformer: k is q, normalised
  virtual bool takes_grouped_heads() const { return false; }   // k and v may have fewer heads than q
  virtual Rotation rotation() const { return Rotation::outside; }
};
using AnyCore = Any<AttentionCore>;

// struct SoftmaxCore : Core<SoftmaxCore> { ... }: clone() by the copy constructor.
template <class Derived> struct Core : AttentionCore {
  std::unique_ptr<AttentionCore> clone() const override {
    return std::unique_ptr<AttentionCore>(new Derived(static_cast<const Derived&>(*this)));
  }
};

}  // namespace ink
