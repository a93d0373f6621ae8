// Recording one call: saved tensors and their versions, edges to the inputs, vertices for the outputs; freeing
// without recursion.
#include "autograd/graph/node.h"

#include <fmt/format.h>

#include <cstring>

#include "autograd/graph/call.h"
#include "autograd/graph/engine.h"
#include "autograd/ops.h"
#include "tensor/fork.h"
#include "tensor/raw/raw.h"

namespace ink {

// A long chain would be freed by recursion: vertex -> creator -> inputs -> vertex ... Instead the outermost destructor
// on this thread empties a list that runs through the nodes. It has neither constructor nor destructor: graphs may be
// freed after the thread's own variables.
static constinit thread_local Node* to_free = nullptr;
static constinit thread_local bool freeing = false;

Node::Node(const Op& op) : op(&op) {}
Node::~Node() = default;

Vertex::~Vertex() {
  if (!creator) return;
  creator->outputs[size_t(index)] = nullptr;
  Node* last = creator.release();
  if (!last) return;
  last->next = std::exchange(to_free, last);
  if (std::exchange(freeing, true)) return;
  while (Node* node = to_free) {
    to_free = node->next;
    delete node;
  }
  freeing = false;
}

// Few locks for all vertices, so that none of them grows.
static constexpr int kGradLocks = 16;
struct GradLocks {
  struct One : ForkMutex {
    One() : ForkMutex(ForkOrder::grad) {}
  };
  One locks[kGradLocks];
};
static ForkMutex& grad_lock(size_t i) {
  static auto* all = new GradLocks;  // never destroyed: tensors may die after main
  return all->locks[i % kGradLocks];
}
[[maybe_unused]] static const ForkMutex& made_early = grad_lock(0);  // while there is one thread: see ForkMutex
GradLock::GradLock(const Vertex& v) : lock_(&grad_lock(reinterpret_cast<uintptr_t>(&v) / sizeof(Vertex))) {
  lock_->lock();
}
GradLock::~GradLock() { lock_->unlock(); }

namespace detail {
static void attach(Tensor& output, const Ref<Node>& node, int index);
}

// Gives a saved output its place in the graph. If nobody kept that output (q of a qr whose r alone was used), its
// vertex is gone; a rule that is itself being recorded needs it back, since the second derivative runs through the
// value.
static void link_output(Tensor& t, const Node& node, int i) {
  if (Vertex* v = node.outputs[size_t(i)]) {
    t.impl()->graph = Ref<GraphSlot>(v);
    t.impl()->recorded_version = t.impl()->storage->version;
  } else if (grad_enabled() && i < node.op->differentiable && is_differentiable(t.dtype())) {
    detail::attach(t, Ref<Node>(const_cast<Node*>(&node)), i);
  }
}

Tensor Backward::unpack(uint32_t bit, bool output, int i) const {
  const char* kind = output ? "output" : "input";
  if (!(node_.save_mask & bit))
    throw GradError(fmt::format("{}: its rule uses {} {}, which its op row does not save", node_.op->name, kind, i));
  const SavedTensor& s = node_.saved[size_t(__builtin_popcount(node_.save_mask & (bit - 1)))];
  if (s.source) {
    Tensor t = raw::alias(s.source->fetch(s.index));
    t.impl()->recorded_version = t.impl()->storage->version;
    if (output)
      link_output(t, node_, i);
    else if (Vertex* v = node_.inputs[size_t(i)].ptr())
      t.impl()->graph = Ref<GraphSlot>(v);
    return t;
  }
  if (!s.value.defined()) return {};
  const Storage& storage = *s.value.impl()->storage;
  if (storage.version != s.version)
    throw GradError(fmt::format(
        "{}: the {} saved for its gradient was overwritten in place by {}; got a {} tensor of shape {}; hint: use the "
        "form that makes a new tensor, or clone() before writing",
        node_.op->name, kind, storage.last_writer, name_of(s.value.dtype()), s.value.shape().str()));
  if (!output) return s.value;
  Tensor t = raw::alias(s.value);
  link_output(t, node_, i);
  return t;
}

Tensor Backward::seen(Tensor t) const { return wide_ && t.defined() && is_half(t.dtype()) ? to(t, f32) : t; }
Tensor Backward::apply(int input) const {
  const RuleRow& row = node_.op->rules[input];
  Backward b = *this;
  b.wide_ = row.uses & kWide || (row.uses && grads_[0].defined() && !(grads_[0].shape() == in_shape(input)));
  return row.rule(b);
}

SavePolicy*& save_policy() {
  static thread_local SavePolicy* policy = nullptr;
  return policy;
}

namespace detail {

static SavedTensor save(const Tensor& t, bool output) {
  if (!t.defined()) return {};
  if (SavePolicy* policy = save_policy()) [[unlikely]]
    return policy->save(t);
  return {output ? raw::alias(t) : t, t.impl()->storage->version, {}, 0};
}

static void check_unchanged(const Op& op, const Tensor& input) {
  const TensorImpl& impl = *input.impl();
  if (impl.storage->version != impl.recorded_version)
    throw GradError(fmt::format(
        "{}: an input was overwritten in place by {} through another view of its elements after it was computed; got "
        "shape {}; hint: use the form that makes a new tensor",
        op.name, impl.storage->last_writer, impl.shape.str()));
}

static void attach(Tensor& output, const Ref<Node>& node, int index) {
  Ref<Vertex> v(new Vertex);
  v->creator = node;
  v->index = index;
  v->shape = output.shape();
  v->dtype = output.dtype();
  v->device = output.device();
  node->outputs[size_t(index)] = v.ptr();
  TensorImpl& impl = *output.impl();
  impl.graph = Ref<GraphSlot>(v.ptr());
  impl.recorded_version = impl.storage->version;
}

Node* record(const Call& c) {
  auto differentiable = [&](int i) {
    return i < c.op.differentiable && c.outputs[size_t(i)].defined() && is_differentiable(c.outputs[size_t(i)].dtype());
  };
  bool any = false;
  for (int i = 0; i < int(c.outputs.size()); ++i) any |= differentiable(i);
  if (!any) return nullptr;

  Ref<Node> node(new Node(c.op));
  node->inputs.resize(size_t(c.num_inputs));
  uint32_t mask = c.op.backward ? c.op.saves : 0;
  for (int i = 0; i < c.num_inputs; ++i) {
    Vertex* v = vertex_of(*c.inputs[i]);
    if (!v) continue;
    if (v->creator) check_unchanged(c.op, *c.inputs[i]);
    node->inputs[size_t(i)] = Ref<Vertex>(v);
    if (!c.op.backward && i < 4) mask |= c.op.rules[i].uses;
  }
  if (c.num_inputs < 8) mask &= ~kAllIn | ((1u << c.num_inputs) - 1);
  for (int i = 0; i < 8; ++i)
    if (mask >> i & 1) node->saved.push_back(save(*c.inputs[i], false));
  for (int i = 0; i < 4; ++i)
    if (mask >> (8 + i) & 1) node->saved.push_back(save(c.outputs[size_t(i)], true));
  node->save_mask = mask;
  if (c.parameters_size) {
    node->context.reset(new char[c.parameters_size]);
    std::memcpy(node->context.get(), c.parameters, c.parameters_size);
  }
  node->outputs.resize(size_t(c.outputs.size()));
  for (int i = 0; i < int(c.outputs.size()); ++i)
    if (differentiable(i)) attach(c.outputs[size_t(i)], node, i);
  return node.ptr();
}

}  // namespace detail
}  // namespace ink
