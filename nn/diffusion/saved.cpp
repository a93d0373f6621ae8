// Names as bytes and constants as numbers, beside the weights.
#include "nn/diffusion/saved.h"

#include <fmt/format.h>

#include "autograd/ops.h"
#include "nn/state.h"
#include "tensor/io.h"

namespace ink::diffusion {
namespace {

// A name and its constants; equal if both are, bit by bit.
struct Described {
  std::string name;
  std::vector<double> constants;
  bool operator==(const Described&) const = default;
  std::string str() const {
    std::string text = name + "(";
    for (size_t i = 0; i < constants.size() && i < 6; ++i) text += fmt::format("{}{}", i ? ", " : "", constants[i]);
    return text + (constants.size() > 6 ? fmt::format(", ... {} numbers)", constants.size()) : ")");
  }
};
template <class T> Described described(const T& x) { return {x.name(), x.constants()}; }

NamedTensors entries(const Described& d) {
  const std::vector<int64_t> bytes(d.name.begin(), d.name.end());
  return {{"name", from_data(std::span<const int64_t>(bytes), {int64_t(bytes.size())})},
          {"constants", from_data(std::span<const double>(d.constants), {int64_t(d.constants.size())})}};
}
Described read_described(const std::string& path, const NamedTensors& state, const std::string& part) {
  if (!has_state_part(state, part))
    throw ValueError(fmt::format("load_denoiser: '{}' holds no {}; hint: save_denoiser writes such files", path, part));
  Described d;
  for (const auto& [name, t] : state_part(state, part)) {
    if (name == "name")
      for (int64_t c : t.to_vector<int64_t>()) d.name += char(c);
    if (name == "constants") d.constants = t.to_vector<double>();
  }
  return d;
}
template <class Make> auto made(const char* what, const Described& d, Make make) {
  auto object = make(d.name, d.constants);
  if (!(described(*object) == d))
    throw ValueError(fmt::format("{} {}: making it again gave {}", what, d.str(), described(*object).str()));
  return object;
}

NamedTensors read_denoiser(const std::string& path, Described& process, Described& preconditioner) {
  const NamedTensors state = load_safetensors(path);
  process = read_described(path, state, "process"), preconditioner = read_described(path, state, "preconditioner");
  if (!has_state_part(state, "network"))
    throw ValueError(fmt::format("load_denoiser: '{}' holds no network; hint: save_denoiser writes such files", path));
  return state_part(state, "network");
}

}  // namespace

void save_denoiser(const std::string& path, Module& network, const Process& process,
                   const Preconditioner& preconditioner) {
  made("save_denoiser: process", described(process), make_process);  // else the file could not be read again
  made("save_denoiser: preconditioner", described(preconditioner), make_preconditioner);
  save_safetensors(path, merge_states({{"network", network.state_dict()},
                                       {"process", entries(described(process))},
                                       {"preconditioner", entries(described(preconditioner))}}));
}

SavedFrame load_denoiser(const std::string& path, Module& network) {
  Described process, preconditioner;
  const NamedTensors weights = read_denoiser(path, process, preconditioner);
  SavedFrame frame{made("load_denoiser: process", process, make_process),
                   made("load_denoiser: preconditioner", preconditioner, make_preconditioner)};
  network.load_state_dict(weights);
  return frame;
}
void load_denoiser(const std::string& path, Module& network, const Process& process,
                   const Preconditioner& preconditioner) {
  Described saved_process, saved_preconditioner;
  const NamedTensors weights = read_denoiser(path, saved_process, saved_preconditioner);
  auto check = [&](const char* what, const Described& saved, const Described& wanted) {
    if (!(saved == wanted))
      throw ValueError(
          fmt::format("load_denoiser: '{}' was trained with another {}; got {}; the file has {}; hint: "
                      "load_denoiser(path, network) returns what it was trained with",
                      path, what, wanted.str(), saved.str()));
  };
  check("process", saved_process, described(process));
  check("preconditioner", saved_preconditioner, described(preconditioner));
  network.load_state_dict(weights);
}

}  // namespace ink::diffusion
