// Gradients of every op of autograd/ops.h. The rows are in tests/specs/; INK_SPEC=name runs one of them.
#include <fmt/format.h>

#include "tests/catch.h"
#include "tests/specs/checks.h"

using namespace ink;
using namespace ink::test;

namespace {

template <class F> void for_each_case(const char* what, F check, bool all = false) {
  for (const OpSpec& spec : wanted_specs()) {
    if (!spec.gradient && !all) continue;
    for (const Case& c : spec.cases()) {
      const std::string wrong = outcome_of([&] { return check(spec, c); });
      INFO(spec.name << " on " << c.label << ": " << what);
      CHECK(wrong == "");
    }
  }
}
// With no elements there is nothing to differentiate twice: the gradient is a constant.
bool has_elements(const Case& c) {
  for (const Tensor& t : c.inputs)
    if (t.defined() && t.numel() == 0) return false;
  return true;
}
std::string verdict(const GradcheckResult& r) { return r.ok ? "" : r.message; }

}  // namespace

TEST_CASE("gradients equal central differences", "[ops][gradcheck]") {
  for_each_case("gradcheck",
                [](const OpSpec&, const Case& c) { return c.grad ? verdict(gradcheck(c.op, c.inputs)) : ""; });
}

TEST_CASE("second derivatives equal central differences of the first", "[ops][gradcheck]") {
  for_each_case("gradgradcheck", [](const OpSpec& s, const Case& c) {
    return c.grad && s.second && has_elements(c) ? verdict(gradgradcheck(c.op, c.inputs)) : "";
  });
}

TEST_CASE("the fused backward equals the recorded one", "[ops][gradcheck]") {
  for_each_case("fused", [](const OpSpec& s, const Case& c) {
    std::string wrong = check_fused(s, c, f64);
    return wrong.empty() && !s.dtypes.empty() ? check_fused(s, c, f32) : wrong;
  });
}

TEST_CASE("gradients in f32, f16 and bf16 equal those in f64 up to rounding", "[ops][gradcheck]") {
  for_each_case("gradient", [](const OpSpec& s, const Case& c) {
    for (DType t : s.dtypes) {
      if (is_half(t) && has_complex(c.inputs)) continue;
      std::string wrong = check_gradient(s, c, t);
      if (!wrong.empty()) return fmt::format("{}: {}", name_of(t), wrong);
    }
    return std::string();
  });
}

TEST_CASE("f16 and bf16 are f32 between inputs and result, for large inputs too", "[ops][halves]") {
  for_each_case(
      "halves",
      [](const OpSpec& s, const Case& c) {
        std::string wrong;
        for (DType t : s.dtypes)
          if (wrong.empty() && is_half(t) && !has_complex(c.inputs)) wrong = check_halves(s, c, t);
        return wrong;
      },
      true);
}

TEST_CASE("results and gradients do not depend on the number of threads", "[ops][threads]") {
  for_each_case(
      "threads", [](const OpSpec& s, const Case& c) { return check_threads(s, c, s.dtypes.empty() ? f64 : f32); },
      true);
}
