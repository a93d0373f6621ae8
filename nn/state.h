// The state of a whole run in one list of named tensors, hence in one safetensors file. Whatever has state_dict() and
// load_state_dict() (modules, optimizers, schedules, loaders) goes under a prefix of its own:
//
//   save_safetensors("run.safetensors", merge_states({{"model", model.state_dict()}, {"optimizer",
//   optimizer.state_dict()},
//                                                     {"loader", loader.state_dict()},
//                                                     {"run", {{"random", generator_state(default_generator())},
//                                                              {"step", integer_state(step)}}}}));
//   NamedTensors run = load_safetensors("run.safetensors");
//   model.load_state_dict(state_part(run, "model"));
//   default_generator() = state_generator(state_part(run, "run"), "random");
//   step = state_integer(run, "run.step");
#pragma once
#include <cstdint>
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

}  // namespace ink
