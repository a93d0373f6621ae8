// Numbers and tensors in and out of the state of optimizers, loaders and the like, checked as they are read.
#include "nn/state.h"

#include <fmt/format.h>

#include <unordered_set>

#include "tensor/raw/raw.h"
#include "tensor/utf8.h"

namespace ink {
namespace {

bool is_under(const std::string& name, std::string_view part) {
  return name.size() > part.size() && name.starts_with(part) && name[part.size()] == '.';
}

template <class T> std::vector<T> checked_data(const NamedTensors& state, std::string_view name, const Shape& shape) {
  for (const auto& [n, t] : state) {
    if (n != name) continue;
    if (t.dtype() != dtype_of<T>)
      throw DTypeError(fmt::format("state: '{}' has another dtype; got {}; expected {}", shown(name),
                                   name_of(t.dtype()), name_of(dtype_of<T>)));
    if (!(t.shape() == shape))
      throw ShapeError(
          fmt::format("state: '{}' has another shape; got {}; expected {}", shown(name), t.shape().str(), shape.str()));
    return t.template to_vector<T>();
  }
  throw ValueError(fmt::format("state: '{}' is missing", shown(name)));
}

}  // namespace

NamedTensors merge_states(const std::vector<std::pair<std::string, NamedTensors>>& parts) {
  NamedTensors all;
  std::unordered_set<std::string> names;
  for (const auto& [part, state] : parts) {
    if (part.empty()) throw ValueError("merge_states: a part without a name");
    for (const auto& [name, t] : state) {
      all.emplace_back(part + "." + name, t);
      if (!names.insert(all.back().first).second)
        throw ValueError(fmt::format("merge_states: a name comes twice; got '{}'", shown(all.back().first)));
    }
  }
  return all;
}

bool has_state_part(const NamedTensors& state, std::string_view part) {
  for (const auto& [name, t] : state)
    if (is_under(name, part)) return true;
  return false;
}

NamedTensors state_part(const NamedTensors& state, std::string_view part) {
  NamedTensors found;
  for (const auto& [name, t] : state)
    if (is_under(name, part)) found.emplace_back(name.substr(part.size() + 1), t);
  if (!found.empty()) return found;
  std::vector<std::string> there;
  std::unordered_set<std::string> seen;
  for (const auto& [name, t] : state)
    if (std::string head = name.substr(0, name.find('.')); seen.insert(head).second) there.push_back(head);
  throw ValueError(
      fmt::format("state_part: no part '{}'; got{}", shown(part), there.empty() ? " an empty state" : shown(there)));
}

Tensor integer_state(int64_t value) { return raw::full({}, value, {i64, Device::cpu()}); }
Tensor number_state(double value) { return raw::full({}, value, {f64, Device::cpu()}); }
Tensor generator_state(const Generator& g) {
  Tensor x = raw::empty({2}, {i64, Device::cpu()});
  x.data<int64_t>()[0] = int64_t(g.state.seed);
  x.data<int64_t>()[1] = int64_t(g.state.offset);
  return x;
}

int64_t state_integer(const NamedTensors& state, std::string_view name) {
  return checked_data<int64_t>(state, name, {})[0];
}
double state_number(const NamedTensors& state, std::string_view name) {
  return checked_data<double>(state, name, {})[0];
}
Generator state_generator(const NamedTensors& state, std::string_view name) {
  const std::vector<int64_t> p = checked_data<int64_t>(state, name, {2});
  Generator g;
  g.state = {uint64_t(p[0]), uint64_t(p[1])};
  if (g.state.offset % 4 != 0)
    throw ValueError(fmt::format("state: '{}' is no place in a stream; got offset {}; expected a multiple of 4",
                                 shown(name), g.state.offset));
  return g;
}
int64_t state_steps(const NamedTensors& state, std::string_view name) {
  constexpr int64_t most = int64_t(1) << 53;  // as a double still exact
  const int64_t steps = state_integer(state, name);
  if (steps < 0 || steps > most)
    throw ValueError(fmt::format("state: '{}' counts steps; got {}; expected 0 to {}", shown(name), steps, most));
  return steps;
}

RunPart::RunPart(std::string_view name, Generator& target)
    : name_(name), target_(&target), prepare_([](const RunPart& p, const NamedTensors& state) {
        return prepared_state(
            [to = static_cast<Generator*>(p.target_), g = state_generator(state, p.name_)] { *to = g; });
      }) {}
RunPart::RunPart(std::string_view name, int64_t& target)
    : name_(name), target_(&target), prepare_([](const RunPart& p, const NamedTensors& state) {
        return prepared_state([to = static_cast<int64_t*>(p.target_), n = state_steps(state, p.name_)] { *to = n; });
      }) {}

void load_run(const NamedTensors& state, std::initializer_list<RunPart> parts) {
  std::vector<PreparedState> changes;
  for (const RunPart& p : parts) changes.push_back(p.prepare(state));
  for (auto& c : changes) c->commit();
}

}  // namespace ink
