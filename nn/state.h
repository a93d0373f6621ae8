// The state of a whole run in one list of named tensors, hence in one safetensors file. Whatever has state_dict() and
// prepare_state() (modules, optimizers, schedules, averages, loaders) goes under a prefix of its own:
//
//   save_safetensors("run.safetensors", merge_states({{"model", model.state_dict()}, {"optimizer",
//   optimizer.state_dict()},
//                                                     {"loader", loader.state_dict()},
//                                                     {"run", {{"random", generator_state(default_generator())},
//                                                              {"step", integer_state(step)}}}}));
//   load_run(load_safetensors("run.safetensors"), {{"model", model}, {"optimizer", optimizer}, {"loader", loader},
//                                                  {"run.random", default_generator()}, {"run.step", step}});
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace ink {

// One list with the names "part.name". ValueError if a name comes twice, or a part's name is empty.
NamedTensors merge_states(const std::vector<std::pair<std::string, NamedTensors>>& parts);
// The entries under "part.", without it. ValueError listing the parts there are if that one is missing or empty.
NamedTensors state_part(const NamedTensors& state, std::string_view part);
// Whether there is a part of that name, for parts a run may do without.
bool has_state_part(const NamedTensors& state, std::string_view part);

Tensor integer_state(int64_t value);                 // 0-dim i64
Tensor number_state(double value);                   // 0-dim f64
Tensor generator_state(const Generator& generator);  // i64 [2]: seed and offset, their bits
// The reverse. ValueError if the name is missing, DTypeError or ShapeError if the tensor holds something else.
int64_t state_integer(const NamedTensors& state, std::string_view name);
double state_number(const NamedTensors& state, std::string_view name);
Generator state_generator(const NamedTensors& state, std::string_view name);
// A count of steps: as state_integer; ValueError unless 0 <= count <= 2^53.
int64_t state_steps(const NamedTensors& state, std::string_view name);

// A state that was read and checked, and that nobody has seen yet: commit() puts it in place, and cannot fail.
class StateChange {
 public:
  virtual ~StateChange() = default;
  virtual void commit() noexcept = 0;
};
using PreparedState = std::unique_ptr<StateChange>;
template <class F> PreparedState prepared_state(F f) {
  struct Change : StateChange {
    F f;
    explicit Change(F f) : f(std::move(f)) {}
    void commit() noexcept override { f(); }
  };
  return PreparedState(new Change(std::move(f)));
}

// A part of a run: its name, and what it is loaded into: a generator, a count of steps, or whatever has
//   PreparedState prepare_state(const NamedTensors& state);
class RunPart {
 public:
  template <class T>
  RunPart(std::string_view name, T& target)
      : name_(name), target_(&target), prepare_([](const RunPart& p, const NamedTensors& state) {
          return static_cast<T*>(p.target_)->prepare_state(state_part(state, p.name_));
        }) {}
  RunPart(std::string_view name, Generator& target);
  RunPart(std::string_view name, int64_t& target);
  PreparedState prepare(const NamedTensors& state) const { return prepare_(*this, state); }

 private:
  std::string_view name_;
  void* target_;
  PreparedState (*prepare_)(const RunPart&, const NamedTensors&);
};
// Loads all parts or none: each is found and checked before the first is replaced. What the state holds besides is left
// alone. Errors are those of the parts.
void load_run(const NamedTensors& state, std::initializer_list<RunPart> parts);

}  // namespace ink
