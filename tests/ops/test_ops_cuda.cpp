// Every row of the op tests on the CUDA device: the CPU's results and gradients, and, in the simulator, equal bits
// whatever the order in which threads and warps run and whatever shared memory held before. INK_SPEC=name runs one row.
#include <fmt/format.h>

#include "tensor/cuda.h"
#include "tests/catch.h"
#include "tests/specs/checks.h"
#if INK_CUDA_SIM
#include "tensor/cuda/sim/block.h"
#endif

using namespace ink;
using namespace ink::test;

namespace {

template <class F> void for_each_case(const char* what, F check) {
  if (!cuda_is_available()) skip_program(("no CUDA device: " + cuda_status()).c_str());
  DefaultDevice cpu(Device::cpu());  // where the cases are made
  for (const OpSpec& spec : wanted_specs())
    for (const Case& c : spec.cases()) {
      const std::string wrong = outcome_of([&] { return check(spec, c); });
      INFO(spec.name << " on " << c.label << ": " << what);
      CHECK(wrong == "");
    }
}

}  // namespace

TEST_CASE("a CUDA device gives the CPU's results and gradients", "[cuda][ops]") {
  for_each_case("parity", [](const OpSpec& s, const Case& c) {
    std::string wrong = check_parity(s, c, f64, Device::cuda());
    for (DType t : s.dtypes)
      if (wrong.empty() && !(is_half(t) && has_complex(c.inputs))) wrong = check_parity(s, c, t, Device::cuda());
    return wrong;
  });
}

#if INK_CUDA_SIM
TEST_CASE("no kernel depends on the order of threads, nor on what shared memory held", "[cuda][ops][sim]") {
  std::string last;
  for_each_case("orders", [&](const OpSpec& s, const Case& c) {
    // one case per row, more for ops of several inputs
    if (s.name == last && c.inputs.size() < 2) return std::string();
    last = s.name;
    DefaultDevice guard(Device::cuda());
    Case moved = c;
    for (Tensor& x : moved.inputs)
      if (x.defined()) x = x.to(Device::cuda());
    const sim::Options before = sim::options();
    cuda_options().deterministic = true;  // without it scatter_add and index_add sum by atomics: equal to rounding
    const DType t = s.dtypes.empty() ? f64 : f32;
    TensorList first;
    std::string wrong;
    for (uint64_t seed = 0; seed <= 20 && wrong.empty(); ++seed) {
      sim::set_options({.seed = seed, .poison = uint8_t(seed % 2 ? 0x55 : 0xff)});
      TensorList now = results_and_gradients(s, moved, t);
      if (seed == 0) first = now;
      for (size_t k = 0; k < now.size(); ++k)
        if (!same_bits(now[k], first[k])) wrong = fmt::format("result {} has other bits with seed {}", k, seed);
    }
    sim::set_options(before);
    cuda_options().deterministic = false;
    return wrong;
  });
}
#endif
