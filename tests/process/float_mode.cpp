// Rounding and flush-to-zero as the caller has set them hold for a whole op, whichever thread takes a piece; and which
// ops raise a floating-point exception though neither operands nor result call for it.
#include <cfenv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "autograd/ops.h"
#include "tensor/parallel.h"
#include "tests/process/cases.h"

using namespace ink;

namespace {

#if defined(__x86_64__)
constexpr unsigned kFlush = 0x8040;  // flush to zero, denormals are zero
unsigned flush_to_zero(bool on) {
  const unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(on ? before | kFlush : before & ~kFlush);
  return before;
}
#endif

// Equal bits in every place: each piece of an op on a long tensor of one value went the same way.
bool uniform(const Tensor& x) { return all(x == x[0]).item<bool>(); }

void modes_of_the_caller() {
  set_num_threads(4);
  constexpr int64_t n = 1 << 20;
  const Tensor third = full({n}, 1, f32), three = full({n}, 3, f32);
  (void)(third / three);  // the pool is there
  for (int round = 0; round < 20; ++round) {
    std::vector<float> results;
    for (int mode : {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD}) {
      std::fesetround(mode);
      Tensor y = third / three;
      std::fesetround(FE_TONEAREST);
      EXPECT(uniform(y));
      results.push_back(y[0].item<float>());
    }
    EXPECT(results[1] > results[2]);
    EXPECT(uniform(third / three) && (third / three)[0].item<float>() == results[0]);
#if defined(__x86_64__)
    const Tensor small = full({n}, std::numeric_limits<float>::min(), f32);
    flush_to_zero(true);
    Tensor flushed = small * 0.5;
    flush_to_zero(false);
    Tensor kept = small * 0.5;
    EXPECT(uniform(flushed) && flushed[0].item<float>() == 0);
    EXPECT(uniform(kept) && kept[0].item<float>() > 0);
#endif
  }
}

// On values for which they are defined, these raise nothing but inexact and underflow.
void exceptions() {
  const Tensor x = linspace(0.1, 8, 1003), m = linspace(-1, 1, 961).reshape({31, 31});
  const struct {
    const char* name;
    Tensor (*f)(const Tensor& x, const Tensor& m);
  } ops[] = {{"add", [](const Tensor& x, const Tensor&) { return x + x; }},
             {"sub", [](const Tensor& x, const Tensor&) { return x - 2; }},
             {"mul", [](const Tensor& x, const Tensor&) { return x * x; }},
             {"exp", [](const Tensor& x, const Tensor&) { return exp(-x); }},
             {"log", [](const Tensor& x, const Tensor&) { return log(x); }},
             {"sqrt", [](const Tensor& x, const Tensor&) { return sqrt(x); }},
             {"sin", [](const Tensor& x, const Tensor&) { return sin(x); }},
             {"cos", [](const Tensor& x, const Tensor&) { return cos(x); }},
             {"tanh", [](const Tensor& x, const Tensor&) { return tanh(x); }},
             {"sigmoid", [](const Tensor& x, const Tensor&) { return sigmoid(x); }},
             {"relu", [](const Tensor& x, const Tensor&) { return relu(x); }},
             {"softmax", [](const Tensor&, const Tensor& m) { return softmax(m, -1); }},
             {"cumsum", [](const Tensor& x, const Tensor&) { return cumsum(x, 0); }},
             {"max", [](const Tensor& x, const Tensor&) { return max(x); }},
             {"var", [](const Tensor& x, const Tensor&) { return var(x); }},
             {"matmul", [](const Tensor&, const Tensor& m) { return matmul(m, m); }}};
  for (auto& [name, f] : ops)
    for (DType t : {f32, f64, f16, bf16}) {
      const Tensor a = x.to(t), b = m.to(t);
      std::feclearexcept(FE_ALL_EXCEPT);
      (void)f(a, b);
      if (std::fetestexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW) != 0)
        test::fail(std::string(name) + " raises an exception in " + name_of(t));
    }
}

}  // namespace

int main(int argc, char** argv) {
  constexpr test::Case cases[] = {{"modes of the caller", modes_of_the_caller}, {"exceptions", exceptions}};
  return test::run_cases(argc, argv, cases);
}
