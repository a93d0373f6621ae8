// What walks the fields of a module: parameters, state, devices and dtypes, modes, summaries, and the search for
// what was forgotten.
#include "nn/module.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <set>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>

#include "autograd/graph/mode.h"
#include "autograd/graph/node.h"
#include "autograd/ops.h"
#include "tensor/fork.h"
#include "tensor/io.h"
#include "tensor/raw/raw.h"
#include "tensor/utf8.h"

namespace ink {

// ---- owned tensors

Owned::Owned(Tensor t, bool gradient) : Tensor(t.defined() ? t.detach() : t) {
  if (defined() && gradient) requires_grad_();
}
Owned::Owned(const Owned& other) : Tensor(other.defined() ? raw::clone(other) : Tensor()) {
  if (other.requires_grad()) requires_grad_();
}
static void take_over(TensorImpl& mine, const TensorImpl& theirs) {
  mine.storage = theirs.storage;
  mine.graph = {};
  mine.shape = theirs.shape;
  mine.strides = theirs.strides;
  mine.offset = theirs.offset;
  mine.numel = theirs.numel;
  mine.dtype = theirs.dtype;
  mine.contiguous = theirs.contiguous;
  mine.is_view = false;
}
void Owned::adopt(const Tensor& contents) {
  if (!contents.defined() || !contents.is_contiguous())
    throw ValueError("adopt: needs a contiguous tensor; hint: contiguous()");
  const bool gradient = defined() ? requires_grad() : contents.requires_grad();
  if (defined())
    take_over(*impl(), *contents.impl());
  else
    static_cast<Tensor&>(*this) = contents.detach();
  if (gradient) requires_grad_();
}
Owned& Owned::operator=(const Tensor& contents) {
  if (is_same(contents)) return *this;
  bool gradient = defined() ? requires_grad() : contents.requires_grad();
  if (!defined() || !contents.defined()) {
    static_cast<Tensor&>(*this) = contents.defined() ? raw::clone(contents) : Tensor();
  } else if (shape() == contents.shape() && dtype() == contents.dtype() && device() == contents.device()) {
    raw::copy_into(*this,
                   shares_storage(contents) ? raw::clone(contents) : contents);  // p = p.t() reads what it writes
    return *this;
  } else {  // other shape, dtype or device: the same handle gets new memory and starts without a gradient
    take_over(*impl(), *raw::clone(contents).impl());
  }
  if (defined() && gradient) requires_grad_();
  return *this;
}

// ---- the modules that live, by address: check_covers looks for members among them

namespace {

struct Living {
  ForkMutex mutex{ForkOrder::cache};
  std::set<const Module*> modules;
};
Living& living() {
  static Living& all = *new Living;  // never destroyed: modules may outlive every other static
  return all;
}
[[maybe_unused]] const Living& living_early = living();

}  // namespace

Module::Module() {
  std::lock_guard lock(living().mutex);
  living().modules.insert(this);
}
Module::Module(const Module& other) noexcept : Module() { training_ = other.training_; }
Module::~Module() {
  std::lock_guard lock(living().mutex);
  living().modules.erase(this);
}

// ---- walking the fields

namespace {

// Calls back for every param, buffer and module below one, with its path; a shared tensor is visited once.
class Walk : public Fields {
 public:
  virtual void on_param(const std::string&, Param&) {}
  virtual void on_buffer(const std::string&, Buffer&) {}
  virtual void on_module(const std::string&, Module&) {}

  void run(Module& m) {
    on_module(prefix_, m);
    m.fields(*this);
  }
  void param(std::string_view name, Param& p) override {
    if (p.defined() && seen_.insert(p.impl()).second) on_param(path(name), p);
  }
  void buffer(std::string_view name, Buffer& b) override {
    if (b.defined() && seen_.insert(b.impl()).second) on_buffer(path(name), b);
  }
  void child(std::string_view name, Module& m) override {
    std::string before = std::exchange(prefix_, path(name));
    run(m);
    prefix_ = std::move(before);
  }

 private:
  std::string path(std::string_view name) const {
    return prefix_.empty() ? std::string(name) : prefix_ + "." + std::string(name);
  }
  std::string prefix_;
  std::unordered_set<const void*> seen_;
};

template <class P, class B, class M> void walk(Module& root, P param, B buffer, M module) {
  struct Calls : Walk {
    P p;
    B b;
    M m;
    Calls(P p, B b, M m) : p(p), b(b), m(m) {}
    void on_param(const std::string& n, Param& t) override { p(n, t); }
    void on_buffer(const std::string& n, Buffer& t) override { b(n, t); }
    void on_module(const std::string& n, Module& t) override { m(n, t); }
  };
  Calls(param, buffer, module).run(root);
}
constexpr auto skip = [](const std::string&, auto&) {};

template <class F> void each_tensor(Module& root, F f) { walk(root, f, f, skip); }

}  // namespace

std::vector<Tensor> Module::parameters() {
  std::vector<Tensor> list;
  walk(
      *this, [&](const std::string&, Param& p) { list.push_back(p); }, skip, skip);
  return list;
}
NamedTensors Module::named_parameters() {
  NamedTensors list;
  walk(
      *this, [&](const std::string& n, Param& p) { list.emplace_back(n, p); }, skip, skip);
  return list;
}
NamedTensors Module::named_buffers() {
  NamedTensors list;
  walk(
      *this, skip, [&](const std::string& n, Buffer& b) { list.emplace_back(n, b); }, skip);
  return list;
}
std::vector<std::pair<std::string, Module*>> Module::named_modules() {
  std::vector<std::pair<std::string, Module*>> list;
  walk(*this, skip, skip, [&](const std::string& n, Module& m) { list.emplace_back(n, &m); });
  return list;
}
void Module::each_module(FunctionRef<void(const std::string&, Module&)> f) {
  for (auto& [name, m] : named_modules()) f(name, *m);
}
int64_t Module::num_parameters() {
  int64_t n = 0;
  for (const Tensor& p : parameters()) n += p.numel();
  return n;
}
void Module::to(DType dtype) {
  if (!is_differentiable(dtype))
    throw DTypeError(fmt::format("Module::to: got {}; expected a floating point dtype", name_of(dtype)));
  each_tensor(*this, [&](const std::string&, auto& t) {
    if (is_floating(t.dtype())) t = raw::cast(t, dtype);
  });
}
void Module::to(Device device) {
  each_tensor(*this, [&](const std::string&, auto& t) { t = raw::to_device(t, device); });
}
void Module::train(bool on) {
  walk(*this, skip, skip, [&](const std::string&, Module& m) { m.training_ = on; });
}
void Module::zero_grad() {
  for (const Tensor& p : parameters()) p.zero_grad();
}
void Module::requires_grad_(bool on) {
  walk(
      *this, [&](const std::string&, Param& p) { p.Tensor::requires_grad_(on); }, skip, skip);
}

// ---- state

NamedTensors Module::state_dict() {
  NamedTensors state;
  each_tensor(*this, [&](const std::string& n, auto& t) { state.emplace_back(n, t.detach()); });
  return state;
}

namespace {

// Each field with its tensor of the state, once everything fits.
std::vector<std::pair<Owned*, Tensor>> matched(const char* op, Module& module, const NamedTensors& state, bool strict) {
  std::vector<std::string> missing, unknown;
  std::vector<std::pair<Owned*, Tensor>> pairs;
  std::unordered_map<std::string_view, const Tensor*> given;
  for (const auto& [name, t] : state) given.emplace(name, &t);
  std::unordered_set<std::string> known;
  each_tensor(module, [&](const std::string& name, auto& target) {
    known.insert(name);
    const auto it = given.find(name);
    if (it == given.end()) {
      missing.push_back(name);
      return;
    }
    const Tensor& source = *it->second;
    if (!(source.shape() == target.shape()))
      throw ShapeError(fmt::format("{}: {} has another shape; got {}; expected {}", op, shown(name),
                                   source.shape().str(), target.shape().str()));
    if ((is_complex(source.dtype()) && !is_complex(target.dtype())) ||
        (is_floating(source.dtype()) && !is_differentiable(target.dtype())))
      throw DTypeError(fmt::format("{}: {} has another dtype; got {}; expected {}", op, shown(name),
                                   name_of(source.dtype()), name_of(target.dtype())));
    pairs.emplace_back(&target, source);
  });
  for (auto& [name, t] : state)
    if (!known.count(name)) unknown.push_back(name);
  if (strict && !(missing.empty() && unknown.empty()))
    throw ValueError(
        fmt::format("{}: names do not match; missing:{}; unknown:{}; hint: pass strict = false to load what fits", op,
                    shown(missing), shown(unknown)));
  return pairs;
}

}  // namespace

void Module::load_state_dict(const NamedTensors& state, bool strict) { prepare_state(state, strict)->commit(); }
PreparedState Module::prepare_state(const NamedTensors& state, bool strict) {
  std::vector<std::pair<Tensor, Tensor>> copies;  // target, source: converted here, where memory may fail
  for (auto& [target, source] : matched("load_state_dict", *this, state, strict))
    copies.emplace_back(*target, raw::cast(raw::to_device(source, target->device()), target->dtype()));
  return prepared_state([copies = std::move(copies)] {
    for (auto& [target, source] : copies) raw::copy_into(target, source);
  });
}
void Module::adopt_state_dict(const NamedTensors& state) {
  for (auto& [target, source] : matched("adopt_state_dict", *this, state, true)) target->adopt(source);
}

void Module::save(const std::string& path) { save_safetensors(path, state_dict()); }
void Module::load(const std::string& path, bool strict) { load_state_dict(load_safetensors(path), strict); }

std::string Module::summary() {
  std::string text = fmt::format("{:<40} {:<20} {:>12}\n", "parameter", "shape", "count");
  int64_t frozen = 0;
  walk(
      *this,
      [&](const std::string& n, Param& p) {
        text +=
            fmt::format("{:<40} {:<20} {:>12}{}\n", n, p.shape().str(), p.numel(), p.requires_grad() ? "" : "  frozen");
        if (!p.requires_grad()) frozen += p.numel();
      },
      [&](const std::string& n, Buffer& b) {
        text += fmt::format("{:<40} {:<20} {:>12}  buffer\n", n, b.shape().str(), b.numel());
      },
      skip);
  int64_t total = num_parameters();
  return text + fmt::format("{} parameters, {} of them trained\n", total, total - frozen);
}

namespace {

std::string type_of(const Module& m) {
  int status = 0;
  char* demangled = abi::__cxa_demangle(typeid(m).name(), nullptr, nullptr, &status);
  std::unique_ptr<char, void (*)(void*)> name(demangled, std::free);
  return status == 0 ? name.get() : typeid(m).name();
}

// The modules that the fields reach, and for each the bytes of its object, as far as its type is known there.
struct Reach : Walk {
  std::vector<std::pair<const Module*, size_t>> objects;
  std::unordered_set<const Module*> modules;
  void extent(const Module& m, size_t bytes) override { objects.emplace_back(&m, bytes); }
  void on_module(const std::string&, Module& m) override { modules.insert(&m); }
};

void check_members(Module& module, size_t bytes) {
  Reach reach;
  reach.extent(module, bytes);
  reach.run(module);
  std::lock_guard lock(living().mutex);
  for (auto& [owner, size] : reach.objects) {
    const void* end = reinterpret_cast<const char*>(owner) + size;
    auto& all = living().modules;
    for (auto it = all.upper_bound(owner); it != all.end() && static_cast<const void*>(*it) < end; ++it)
      if (!reach.modules.count(*it))
        throw ValueError(fmt::format(
            "check_covers: a {} is a member of {} but stands in no field, so train(), eval() and to() do not reach it; "
            "hint: name it in fields()",
            type_of(**it), type_of(*owner)));
  }
}

}  // namespace

void check_covers(const Tensor& loss, Module& module, size_t bytes) {
  check_members(module, bytes);
  std::unordered_set<const Vertex*> owned;
  for (const Tensor& p : module.parameters()) owned.insert(vertex_of(p));
  std::vector<const Vertex*> open;
  std::unordered_set<const void*> seen;
  if (const Vertex* v = vertex_of(loss)) open.push_back(v);
  while (!open.empty()) {
    const Vertex* v = open.back();
    open.pop_back();
    if (!v->creator || !seen.insert(v->creator.ptr()).second) continue;
    for (auto& input : v->creator->inputs) {
      if (!input) continue;
      if (!input->creator && !owned.count(input.ptr()))
        throw GradError(
            fmt::format("check_covers: a leaf of shape {}, used by {}, gets a gradient but stands in no field; hint: "
                        "name it in fields()",
                        input->shape.str(), v->creator->op->name));
      open.push_back(input.ptr());
    }
  }
}

}  // namespace ink
