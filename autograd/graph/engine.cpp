// The backward pass: nodes run when the gradients of all their outputs have arrived, from a list, without recursion.
#include "autograd/graph/engine.h"

#include <fmt/format.h>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/raw/raw.h"

namespace ink {
namespace {

// One gradient on its way: the sum of what has arrived. `own` is set once the sum is ours and may be added to in place.
struct Slot {
  Tensor sum;
  bool own = false;
};
struct Task {
  Ref<Node> node;
  int waiting = 0;      // consumers that have not delivered yet
  bool needed = false;  // leads to a vertex whose gradient is wanted
  std::vector<Slot> grads;
};
struct Goal {  // a vertex whose gradient is wanted: a leaf, an input of grad(), or one with retain_grad
  Ref<Vertex> vertex;
  Slot slot;
  bool complete = false;
};

Tensor run_hooks(const Vertex& v, Tensor g) {
  for (auto& hook : v.hooks)
    if (Tensor replaced = hook->call(g); replaced.defined()) g = replaced;
  return g;
}

// One backward pass. Nodes and vertices carry their task or goal number in `scratch` while it lasts; the old values are
// put back at the end, so that a rule may itself run a backward pass (checkpoint, reversible layers).
class Run {
 public:
  Run(std::span<const Tensor> outputs, const GradOptions& options) : options_(options), roots_(outputs) {}
  ~Run() {
    for (auto it = node_scratch_.rbegin(); it != node_scratch_.rend(); ++it) it->first->scratch = it->second;
    for (auto it = vertex_scratch_.rbegin(); it != vertex_scratch_.rend(); ++it) it->first->scratch = it->second;
  }

  // Finds the nodes between the outputs and `inputs` (all leaves if there are none).
  void plan(std::span<const Tensor> inputs) {
    all_leaves_ = inputs.empty();
    for (const Tensor& t : inputs) {
      Vertex* v = vertex_of(t);
      if (!v)
        throw GradError(fmt::format("grad: an input does not require a gradient; got shape {}; hint: requires_grad_()",
                                    t.shape().str()));
      goal_of(v);
    }
    for (size_t k = 0; k < roots_.size(); ++k) {
      Vertex* v = vertex_of(roots_[k]);
      if (!v)
        throw GradError(fmt::format(
            "backward: output {} does not require a gradient; hint: requires_grad_() on a leaf it comes from", k));
      const TensorImpl& root = *roots_[k].impl();
      if (v->creator && root.storage->version != root.recorded_version)
        throw GradError(fmt::format(
            "backward: output {} was overwritten in place by {} through another view of its elements after it was "
            "computed; got shape {}; hint: take the view after the write",
            k, root.storage->last_writer, root.shape.str()));
      if (all_leaves_ && (!v->creator || v->retains_grad)) goal_of(v);
      if (v->creator && !known(v->creator.ptr())) visit(v->creator.ptr());
    }
    for (Task& t : tasks_) {
      if (!t.needed) continue;
      for (auto& v : t.node->inputs)
        if (v && v->creator) ++task_of(*v).waiting;
    }
  }

  void execute(std::span<const Tensor> grad_outputs) {
    GradMode mode(options_.create_graph);
    for (size_t k = 0; k < roots_.size(); ++k) deliver(*vertex_of(roots_[k]), seed(k, grad_outputs));
    std::vector<int> ready;
    for (size_t id = 0; id < tasks_.size(); ++id)
      if (tasks_[id].needed && tasks_[id].waiting == 0) ready.push_back(int(id));
    while (!ready.empty()) {
      int id = ready.back();
      ready.pop_back();
      run(id, ready);
    }
    for (Goal& goal : goals_)
      if (!goal.complete && goal.slot.sum.defined()) goal.slot.sum = run_hooks(*goal.vertex, goal.slot.sum);
  }

  std::vector<Goal>& goals() { return goals_; }
  Goal& goal(const Vertex& v) { return goals_[size_t(v.scratch)]; }

 private:
  bool is_goal(const Vertex* v) const {
    return v->scratch >= 0 && size_t(v->scratch) < goals_.size() && goals_[size_t(v->scratch)].vertex.ptr() == v;
  }
  bool known(const Node* n) const {
    return n->scratch >= 0 && size_t(n->scratch) < tasks_.size() && tasks_[size_t(n->scratch)].node.ptr() == n;
  }
  Task& task_of(const Vertex& v) { return tasks_[size_t(v.creator->scratch)]; }

  void goal_of(Vertex* v) {
    if (is_goal(v)) return;
    vertex_scratch_.emplace_back(v, v->scratch);
    v->scratch = int(goals_.size());
    goals_.push_back({Ref<Vertex>(v), {}});
  }
  int enter(Node* n) {
    node_scratch_.emplace_back(n, n->scratch);
    n->scratch = int(tasks_.size());
    Task t;
    t.node = Ref<Node>(n);
    t.grads.resize(n->outputs.size());
    tasks_.push_back(std::move(t));
    return n->scratch;
  }

  // Depth first without recursion; a node is finished after everything it came from, and knows then if it is needed.
  void visit(Node* root) {
    struct Frame {
      int id;
      size_t next;
    };
    std::vector<Frame> stack{{enter(root), 0}};
    while (!stack.empty()) {
      Frame& f = stack.back();
      Node* n = tasks_[size_t(f.id)].node.ptr();
      if (f.next == n->inputs.size()) {
        for (auto& v : n->inputs) tasks_[size_t(f.id)].needed |= wanted(v.ptr());
        stack.pop_back();
        continue;
      }
      Vertex* v = n->inputs[f.next++].ptr();
      if (!v) continue;
      if (all_leaves_ && (!v->creator || v->retains_grad)) goal_of(v);
      if (v->creator && !known(v->creator.ptr())) stack.push_back({enter(v->creator.ptr()), 0});
    }
  }
  bool flows_on(const Vertex* v) const {
    return v->creator && known(v->creator.ptr()) && tasks_[size_t(v->creator->scratch)].needed;
  }
  bool wanted(const Vertex* v) const { return v && (is_goal(v) || flows_on(v)); }

  Tensor seed(size_t k, std::span<const Tensor> grad_outputs) const {
    const Tensor& out = roots_[k];
    if (k < grad_outputs.size() && grad_outputs[k].defined()) {
      const Tensor& g = grad_outputs[k];
      if (!(g.shape() == out.shape()))
        throw ShapeError(fmt::format("backward: the gradient of output {} has the wrong shape; got {}; expected {}", k,
                                     g.shape().str(), out.shape().str()));
      return g;
    }
    if (out.numel() != 1)
      throw GradError(fmt::format(
          "backward: output {} has shape {}; only one element has an implied gradient of 1; hint: reduce it, or pass "
          "its gradient",
          k, out.shape().str()));
    return raw::full(out.shape(), 1, out.options());
  }

  void add_to(Slot& slot, const Tensor& g) {
    if (!slot.sum.defined()) {
      slot = {g, false};
    } else if (slot.own && !options_.create_graph) {
      raw::add_into(slot.sum, g);
    } else {
      slot = {add(slot.sum, g), true};
    }
  }

  // Brings g to the vertex's shape and dtype (undoing broadcast and promotion) and adds it where it is collected.
  void deliver(Vertex& v, Tensor g) {
    if (!(g.shape() == v.shape)) g = sum_to(g, v.shape);
    if (g.dtype() != v.dtype) g = to(g, v.dtype);
    if (flows_on(&v))
      add_to(task_of(v).grads[size_t(v.index)], g);
    else if (is_goal(&v))
      add_to(goal(v).slot, g);
  }

  void run(int id, std::vector<int>& ready) {
    Ref<Node> node = tasks_[size_t(id)].node;
    Node& n = *node;
    if (n.released)
      throw GradError(fmt::format(
          "backward: the graph was freed by an earlier backward pass (at {}); hint: pass retain_graph to the first one",
          n.op->name));
    std::vector<Tensor> grads(n.outputs.size()), results(n.inputs.size());
    bool any = false;
    for (size_t i = 0; i < grads.size(); ++i) {
      Slot slot = std::exchange(tasks_[size_t(id)].grads[i], {});
      if (!slot.sum.defined()) continue;
      any = true;
      grads[i] = slot.sum;
      Vertex* v = n.outputs[i];
      if (v && !v->hooks.empty()) grads[i] = run_hooks(*v, grads[i]);
      if (v && is_goal(v)) goal(*v) = {Ref<Vertex>(v), {grads[i], false}, true};
    }
    uint64_t needed = 0;
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (wanted(n.inputs[i].ptr())) needed |= uint64_t(1) << (i < 63 ? i : 63);
    if (any) apply(n, Backward(n, grads, needed), results);
    grads.clear();
    if (!options_.retain_graph && !options_.create_graph) {
      n.saved.clear();
      n.released = true;
    }
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      Vertex* v = n.inputs[i].ptr();
      if (!v) continue;
      if (results[i].defined() && wanted(v)) deliver(*v, std::move(results[i]));
      if (v->creator && --task_of(*v).waiting == 0 && task_of(*v).needed) ready.push_back(v->creator->scratch);
    }
  }

  static void apply(const Node& n, const Backward& b, std::span<Tensor> results) {
    const bool check = mode().observers & kAnomaly;
    // an op inside a rule must not be blamed: the message names the op of the graph
    ObserverScope quiet(kAnomaly, false);
    if (n.op->backward) {
      n.op->backward(b, results);
    } else {
      for (size_t i = 0; i < results.size() && i < 4; ++i)
        if (b.needs(int(i)) && n.op->rules[i].rule) results[i] = b.apply(int(i));
    }
    if (!check) return;
    NoGrad no_grad;
    for (size_t i = 0; i < results.size(); ++i)
      if (results[i].defined() && !all(isfinite(results[i])).item<bool>())
        throw GradError(
            fmt::format("{}: its gradient for input {} is not finite; got shape {}; hint: look at the op's inputs",
                        n.op->name, i, results[i].shape().str()));
  }

  GradOptions options_;
  std::span<const Tensor> roots_;
  bool all_leaves_ = false;
  std::vector<Task> tasks_;
  std::vector<Goal> goals_;
  std::vector<std::pair<Node*, int>> node_scratch_;
  std::vector<std::pair<Vertex*, int>> vertex_scratch_;
};

}  // namespace

std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         std::span<const Tensor> grad_outputs, const GradOptions& options) {
  if (inputs.empty()) return {};
  Run run(outputs, options);
  run.plan(inputs);
  run.execute(grad_outputs);
  std::vector<Tensor> result;
  for (const Tensor& t : inputs) {
    const Tensor& g = run.goal(*vertex_of(t)).slot.sum;
    if (!g.defined() && !options.allow_unused)
      throw GradError(
          fmt::format("grad: the outputs do not depend on the input of shape {}; hint: pass allow_unused to get an "
                      "undefined gradient",
                      t.shape().str()));
    result.push_back(g);
  }
  return result;
}

Tensor grad(const Tensor& output, const Tensor& input, const Tensor& grad_output, const GradOptions& options) {
  return grad(std::span(&output, 1), std::span(&input, 1), std::span(&grad_output, 1), options)[0];
}

void backward(std::span<const Tensor> outputs, std::span<const Tensor> grad_outputs, const GradOptions& options) {
  Run run(outputs, options);
  run.plan({});
  run.execute(grad_outputs);
  GradMode mode(options.create_graph);
  for (Goal& goal : run.goals()) {
    Tensor g = std::move(goal.slot.sum), &into = goal.vertex->grad;
    if (!g.defined()) continue;
    if (options.create_graph) {
      into = into.defined() ? add(into, g) : g;
    } else if (into.defined() && !into.requires_grad()) {
      raw::add_into(into, g);
    } else if (into.defined()) {
      into = add(into, g);
    } else {  // .grad owns its elements: two leaves may have been handed the same gradient
      bool ours = g.impl()->storage.unique() && g.is_contiguous();
      into = ours ? raw::alias(g) : raw::clone(g);
    }
  }
}

void add_hook(const Tensor& t, Ref<TensorHook> hook) {
  Vertex* v = vertex_of(t);
  if (!v) throw GradError("register_hook: the tensor does not require a gradient; hint: requires_grad_() first");
  v->hooks.push_back(std::move(hook));
}

}  // namespace ink
