// The backward pass: nodes run when the gradients of all their outputs have arrived, from a list, without recursion.
#include "autograd/graph/engine.h"

#include <fmt/format.h>

#include <memory>

#include "autograd/graph/mode.h"
#include "autograd/graph/node.h"
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
  int waiting = 0;         // consumers that have not delivered yet
  bool needed = false;     // leads to a vertex whose gradient is wanted
  int slot = 0, edge = 0;  // the first of its outputs' slots, and of its inputs' edges
};
struct Goal {  // a vertex whose gradient is wanted: a leaf, an input of grad(), or one with retain_grad
  Ref<Vertex> vertex;
  Slot slot;
  bool complete = false;
};
struct Edge {  // where the gradient of an input goes: the task that made it, the goal that it is; -1: none
  int task = -1, goal = -1;
};

// The numbers of tasks and goals, by node and vertex. They belong to the pass and not to the graph: other threads may
// differentiate through the same parameters, and a rule may itself run a backward pass (checkpoint, reversible layers).
class Numbers {
 public:
  int& operator[](const void* key) {  // -1 if it has none yet
    Entry* e = place(key);
    if (e->key) return e->number;
    if (++used_ > size_ / 2) {
      grow();
      e = place(key);
    }
    e->key = key;
    return e->number;
  }
  int find(const void* key) const {
    const Entry* e = place(key);
    return e->number;
  }

 private:
  struct Entry {
    const void* key = nullptr;
    int number = -1;
  };
  Entry* place(const void* key) const {
    size_t i = uintptr_t(key) * 0x9e3779b97f4a7c15 >> shift_;
    while (table_[i].key && table_[i].key != key) i = (i + 1) & (size_ - 1);
    return &table_[i];
  }
  void grow() {
    auto old = std::move(table_);
    const size_t before = size_;
    size_ *= 4, shift_ -= 2;
    table_ = std::make_unique<Entry[]>(size_);
    for (size_t i = 0; i < before; ++i)
      if (old[i].key) *place(old[i].key) = old[i];
  }
  size_t size_ = 64, used_ = 0;
  int shift_ = 64 - 6;
  std::unique_ptr<Entry[]> table_ = std::make_unique<Entry[]>(size_);
};

Tensor run_hooks(const Vertex& v, Tensor g) {
  for (auto& hook : v.hooks)
    if (Tensor replaced = hook->call(g); replaced.defined()) g = replaced;
  return g;
}

// One backward pass.
class Run {
 public:
  Run(std::span<const Tensor> outputs, const GradOptions& options) : options_(options), roots_(outputs) {}

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
      Edge e = edge_to(*v);
      if (e.task < 0 && v->creator) e.task = visit(v->creator.ptr());
      root_edges_.push_back(e);
    }
    for (const Task& t : tasks_)
      for (size_t i = 0; t.needed && i < t.node->inputs.size(); ++i)
        if (const Edge& e = edge(t, i); e.task >= 0) ++tasks_[size_t(e.task)].waiting;
  }

  void execute(std::span<const Tensor> grad_outputs) {
    GradMode mode(options_.create_graph);
    for (size_t k = 0; k < roots_.size(); ++k) deliver(root_edges_[k], *vertex_of(roots_[k]), seed(k, grad_outputs));
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
  Goal& goal(const Vertex& v) { return goals_[size_t(numbers_.find(&v))]; }

 private:
  const Edge& edge(const Task& t, size_t input) const { return edges_[size_t(t.edge) + input]; }
  bool flows_on(const Edge& e) const { return e.task >= 0 && tasks_[size_t(e.task)].needed; }
  bool wanted(const Edge& e) const { return e.goal >= 0 || flows_on(e); }

  int goal_of(Vertex* v) {
    int& number = numbers_[v];
    if (number >= 0) return number;
    number = int(goals_.size());
    goals_.push_back({Ref<Vertex>(v), {}});
    inner_goals_ |= bool(v->creator);
    return number;
  }
  int enter(Node* n) {
    const int id = int(tasks_.size());
    numbers_[n] = id;
    tasks_.push_back({Ref<Node>(n), 0, false, int(slots_.size()), int(edges_.size())});
    slots_.resize(slots_.size() + n->outputs.size());
    edges_.resize(edges_.size() + n->inputs.size());
    return id;
  }
  // Its task is left open if the creator has not been visited.
  Edge edge_to(Vertex& v) {
    Edge e;
    if (all_leaves_ ? !v.creator || v.retains_grad : !v.creator || inner_goals_)
      e.goal = all_leaves_ ? goal_of(&v) : numbers_.find(&v);
    if (v.creator) e.task = numbers_.find(v.creator.ptr());
    return e;
  }

  // Depth first without recursion; a node is finished after everything it came from, and knows then if it is needed.
  int visit(Node* root) {
    struct Frame {
      int id;
      size_t next;
    };
    const int first = enter(root);
    std::vector<Frame> stack{{first, 0}};
    while (!stack.empty()) {
      Frame& f = stack.back();
      Task& t = tasks_[size_t(f.id)];
      Node* n = t.node.ptr();
      if (f.next == n->inputs.size()) {
        for (size_t i = 0; i < n->inputs.size(); ++i) t.needed |= wanted(edge(t, i));
        stack.pop_back();
        continue;
      }
      const size_t at = size_t(t.edge) + f.next;
      Vertex* v = n->inputs[f.next++].ptr();
      if (!v) continue;
      Edge e = edge_to(*v);
      if (e.task < 0 && v->creator) {
        e.task = enter(v->creator.ptr());
        stack.push_back({e.task, 0});
      }
      edges_[at] = e;
    }
    return first;
  }

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
  void deliver(const Edge& e, const Vertex& v, Tensor g) {
    if (!(g.shape() == v.shape)) g = sum_to(g, v.shape);
    if (g.dtype() != v.dtype) g = to(g, v.dtype);
    if (flows_on(e))
      add_to(slots_[size_t(tasks_[size_t(e.task)].slot) + size_t(v.index)], g);
    else if (e.goal >= 0)
      add_to(goals_[size_t(e.goal)].slot, g);
  }

  void run(int id, std::vector<int>& ready) {
    const Task& task = tasks_[size_t(id)];
    Ref<Node> node = task.node;
    Node& n = *node;
    if (n.released)
      throw GradError(fmt::format(
          "backward: the graph was freed by an earlier backward pass (at {}); hint: pass retain_graph to the first one",
          n.op->name));
    std::vector<Tensor> grads(n.outputs.size()), results(n.inputs.size());
    bool any = false;
    for (size_t i = 0; i < grads.size(); ++i) {
      Slot slot = std::exchange(slots_[size_t(task.slot) + i], {});
      if (!slot.sum.defined()) continue;
      any = true;
      grads[i] = slot.sum;
      Vertex* v = n.outputs[i];
      if (v && !v->hooks.empty()) grads[i] = run_hooks(*v, grads[i]);
      if (!v || !inner_goals_) continue;
      if (int goal = numbers_.find(v); goal >= 0) goals_[size_t(goal)] = {Ref<Vertex>(v), {grads[i], false}, true};
    }
    uint64_t needed = 0;
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (wanted(edge(task, i))) needed |= uint64_t(1) << (i < 63 ? i : 63);
    if (any) apply(n, Backward(n, grads, needed), results);
    grads.clear();
    if (!options_.retain_graph && !options_.create_graph) {
      n.saved.clear();
      n.released = true;
    }
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      const Edge& e = edge(task, i);
      if (results[i].defined() && wanted(e)) deliver(e, *n.inputs[i], std::move(results[i]));
      if (e.task >= 0 && --tasks_[size_t(e.task)].waiting == 0 && tasks_[size_t(e.task)].needed)
        ready.push_back(e.task);
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
  bool inner_goals_ = false;  // is a goal no leaf
  std::vector<Task> tasks_;
  std::vector<Slot> slots_;
  std::vector<Edge> edges_, root_edges_;
  std::vector<Goal> goals_;
  Numbers numbers_;
};

}  // namespace

std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         std::span<const Tensor> grad_outputs, const GradOptions& options) try {
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
} catch (const std::bad_alloc&) { detail::out_of_memory("grad"); }

std::vector<Tensor> grad(std::initializer_list<Tensor> outputs, std::span<const Tensor> inputs,
                         std::initializer_list<Tensor> grad_outputs, const GradOptions& options) {
  return grad(std::span(outputs.begin(), outputs.size()), inputs, std::span(grad_outputs.begin(), grad_outputs.size()),
              options);
}
std::vector<Tensor> grad(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> inputs,
                         std::initializer_list<Tensor> grad_outputs, const GradOptions& options) {
  return grad(outputs, std::span(inputs.begin(), inputs.size()), grad_outputs, options);
}
Tensor grad(const Tensor& output, const Tensor& input, const Tensor& grad_output, const GradOptions& options) {
  return grad(std::span(&output, 1), std::span(&input, 1), std::span(&grad_output, 1), options)[0];
}

// Other threads may be adding to the same gradient.
static void add_to_grad(Vertex& v, Tensor g, bool create_graph) {
  for (;;) {
    Tensor before, read, sum;
    uint32_t version = 0;
    {
      GradLock lock(v);
      const bool in_place = v.grad.defined() && !v.grad.requires_grad();  // others may add into it
      if (in_place && !create_graph) return raw::add_into(v.grad, g);
      before = v.grad;
      read = in_place ? raw::clone(before) : before;
      if (before.defined()) version = before.impl()->storage->version;
    }
    if (before.defined()) {
      sum = add(read, g);  // recorded: not under the lock, what observes it may ask for gradients
    } else if (create_graph) {
      sum = g;
    } else {  // .grad owns its elements: two leaves may have been handed the same gradient
      const bool ours = g.impl()->storage.unique() && g.is_contiguous();
      sum = ours ? raw::alias(g) : raw::clone(g);
    }
    GradLock lock(v);
    const bool untouched = v.grad.is_same(before) && (!before.defined() || before.impl()->storage->version == version);
    if (untouched) return std::swap(v.grad, sum);  // the old one dies after the lock is gone
  }
}

void backward(std::span<const Tensor> outputs, std::span<const Tensor> grad_outputs, const GradOptions& options) try {
  Run run(outputs, options);
  run.plan({});
  run.execute(grad_outputs);
  GradMode mode(options.create_graph);
  for (Goal& goal : run.goals())
    if (goal.slot.sum.defined()) add_to_grad(*goal.vertex, std::move(goal.slot.sum), options.create_graph);
} catch (const std::bad_alloc&) { detail::out_of_memory("backward"); }
void backward(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> grad_outputs,
              const GradOptions& options) {
  backward(std::span(outputs.begin(), outputs.size()), std::span(grad_outputs.begin(), grad_outputs.size()), options);
}

void add_hook(const Tensor& t, Ref<TensorHook> hook) {
  Vertex* v = vertex_of(t);
  if (!v) throw GradError("register_hook: the tensor does not require a gradient; hint: requires_grad_() first");
  v->hooks.push_back(std::move(hook));
}

}  // namespace ink
