// The graph: a Vertex for each tensor that requires a gradient, a Node for each recorded op.
//
//   tensor --graph--> Vertex --creator--> Node --inputs--> Vertex ...
//
// A leaf's Vertex has no creator and holds the gradient. Vertices carry shape and dtype, not elements, so the graph
// keeps alive only what rules have saved. A node refers to its own outputs weakly (no cycle).
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace ink {

struct Node;
struct Call;
struct TensorHook;  // autograd/graph/engine.h
class ForkMutex;
class Backward;

// ---- ops
// The gradient of one input, from the gradient of the output(s).
using Rule = Tensor (*)(const Backward&);
// The gradients of all inputs at once, for ops with many inputs or a fused backward kernel; grads[i] may stay undefined
// where !b.needs(i).
using FullRule = void (*)(const Backward& b, std::span<Tensor> grads);

// What a rule needs to have been saved: inputs 0..7 and outputs 0..3, or-ed.
enum Save : uint32_t {
  kNothing = 0,
  kIn0 = 1,
  kIn1 = 2,
  kIn2 = 4,
  kIn3 = 8,
  kAllIn = 0xff,
  kOut0 = 0x100,
  kOut1 = 0x200,
  kOut2 = 0x400,
  kOut3 = 0x800,
  // Not saved. The rule is a formula of several ops: f16 and bf16 reach it as f32, and only its result is rounded. (So
  // they do where a gradient is summed up after the rule, because its input was broadcast.)
  kWide = 0x1000,
};

struct RuleRow {
  Rule rule = nullptr;
  uint32_t uses = kNothing;
};

// How autocast treats an op's floating-point inputs.
enum class Cast : uint8_t {
  none,   // as they are
  lower,  // converted to f16 or bf16: products, convolutions
  raise,  // converted to f32: exp, sums, losses
};

// How many floating point operations one call makes. autograd/observe/cost.h says what counts, and has the common
// functions.
using Flops = double (*)(const Call&);

// The constant row that describes an op, written with the names of its fields. It lives as long as the program.
struct Op {
  const char* name;
  RuleRow rules[4] = {};        // one for each input
  FullRule backward = nullptr;  // used instead of rules when set
  uint32_t saves = kNothing;    // with backward: what it needs
  Cast cast = Cast::none;
  int differentiable = 1;  // the first outputs get gradients, the rest are indices, statistics, ...
  Flops flops = nullptr;   // null: one for each element that an elementwise formula gives, else none
};

// ---- the graph
struct Vertex : GraphSlot {
  Ref<Node> creator;  // null for a leaf
  int index = 0;      // which output of the creator
  Shape shape;
  DType dtype = DType::f32;
  Device device;
  bool retains_grad = false;
  Tensor grad;  // read and written under a GradLock
  std::vector<Ref<TensorHook>> hooks;
  ~Vertex() override;
};

// Where a saved tensor comes from if it is not kept: checkpoint() computes it again.
struct SavedSource : RefCounted {
  virtual ~SavedSource() = default;
  virtual Tensor fetch(int index) = 0;
};
struct SavedTensor {
  Tensor value;
  uint32_t version = 0;
  Ref<SavedSource> source;  // set instead of value
  int index = 0;
};
// While set (per thread), decides how record() saves: checkpoint() drops tensors in its first run, collects them in the
// second.
struct SavePolicy {
  virtual ~SavePolicy() = default;
  virtual SavedTensor save(const Tensor& t) = 0;
};
SavePolicy*& save_policy();

struct Node : RefCounted {
  const Op* op;
  std::vector<Ref<Vertex>> inputs;  // null where the input needs no gradient
  std::vector<SavedTensor> saved;   // inputs, then outputs, in the order of the bits in save_mask
  uint32_t save_mask = 0;
  std::vector<Vertex*> outputs;     // weak; null once the output tensor is gone
  std::unique_ptr<char[]> context;  // the op's plain parameters
  // parameters of no fixed size: the user's object of a Function<T>, the sizes cat() joined
  std::shared_ptr<void> state;
  bool released = false;
  Node* next = nullptr;  // while it waits to be freed
  explicit Node(const Op& op);
  ~Node();
};

// Held while .grad of a vertex is read or written: threads may differentiate through one parameter.
class GradLock {
 public:
  explicit GradLock(const Vertex& v);
  ~GradLock();
  GradLock(const GradLock&) = delete;

 private:
  ForkMutex* lock_;
};

inline Vertex* vertex_of(const Tensor& t) {
  return t.defined() ? static_cast<Vertex*>(t.impl()->graph.ptr()) : nullptr;
}

// What a rule sees of its node.
class Backward {
 public:
  Backward(const Node& node, std::span<const Tensor> grads, uint64_t needed)
      : node_(node), grads_(grads), needed_(needed) {}
  // The gradient of output i; undefined if none arrived (only ops with several differentiable outputs meet that).
  Tensor grad(int i = 0) const { return seen(grads_[size_t(i)]); }
  // A saved input or output; GradError if it was overwritten since.
  Tensor in(int i) const { return seen(unpack(1u << i, false, i)); }
  Tensor out(int i = 0) const { return seen(unpack(0x100u << i, true, i)); }
  Tensor apply(int input) const;                                                    // what the input's rule gives
  bool needs(int input) const { return needed_ >> (input < 63 ? input : 63) & 1; }  // inputs from 63 on share a bit
  int num_inputs() const { return int(node_.inputs.size()); }
  int num_outputs() const { return int(node_.outputs.size()); }
  // Shape of an input that requires a gradient.
  const Shape& in_shape(int i) const { return node_.inputs[size_t(i)]->shape; }
  template <class C> const C& context() const { return *reinterpret_cast<const C*>(node_.context.get()); }
  const Node& node() const { return node_; }

 private:
  Tensor unpack(uint32_t bit, bool output, int i) const;
  Tensor seen(Tensor t) const;
  const Node& node_;
  std::span<const Tensor> grads_;
  uint64_t needed_;
  bool wide_ = false;
};

}  // namespace ink
