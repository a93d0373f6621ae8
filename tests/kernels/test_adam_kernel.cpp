// The fused AdamW step against the update rule in f64.
#include "tests/catch.h"
#include "tests/support/values.h"

using namespace ink;
using namespace ink::test;

namespace {

struct State {
  std::vector<double> param, grad, m, v;
};

void step_reference(State& s, const AdamArgs& a) {  // Loshchilov & Hutter 2019, alg. 2
  for (size_t i = 0; i < s.param.size(); ++i) {
    double g = s.grad[i] * a.grad_scale;
    s.m[i] = a.beta1 * s.m[i] + (1 - a.beta1) * g;
    s.v[i] = a.beta2 * s.v[i] + (1 - a.beta2) * g * g;
    double m_hat = s.m[i] / a.correction1, v_hat = s.v[i] / a.correction2;
    s.param[i] -= a.lr * a.weight_decay * s.param[i] + a.lr * m_hat / (std::sqrt(v_hat) + a.eps);
  }
}

template <class T> struct Arrays {
  std::vector<T> param, grad, m, v;
  explicit Arrays(int64_t n, unsigned seed)
      : param(normal_values<T>(n, seed)), grad(normal_values<T>(n, seed + 1)), m(n, T(0)), v(n, T(0)) {}
  AdamArgs args(int step) {
    return {dtype_of<T>,
            int64_t(param.size()),
            param.data(),
            grad.data(),
            m.data(),
            v.data(),
            0.01,
            0.9,
            0.999,
            1e-8,
            0.05,
            1 - std::pow(0.9, step),
            1 - std::pow(0.999, step),
            0.5};
  }
};

}  // namespace

TEMPLATE_TEST_CASE("adam steps many parameters of any size as the update rule says", "[adam]", float, double) {
  std::vector<Arrays<TestType>> arrays;
  std::vector<State> states;
  unsigned seed = 1;
  for (int64_t n : {0, 1, 3, 17, 70001, 5, 0, 40000}) {
    arrays.emplace_back(n, seed += 10);
    auto& a = arrays.back();
    states.push_back({{a.param.begin(), a.param.end()}, {a.grad.begin(), a.grad.end()}, {}, {}});
    states.back().m.resize(n), states.back().v.resize(n);
  }
  for (int step = 1; step <= 5; ++step) {
    std::vector<AdamArgs> args;
    for (auto& a : arrays) args.push_back(a.args(step));
    kernels(Device::cpu()).adam(args.data(), int64_t(args.size()));
    for (size_t p = 0; p < arrays.size(); ++p) {
      step_reference(states[p], args[p]);
      CHECK(error(arrays[p].param, states[p].param) < tolerance<TestType>);
      CHECK(error(arrays[p].m, states[p].m) < tolerance<TestType>);
      CHECK(error(arrays[p].v, states[p].v) < tolerance<TestType>);
    }
  }
  kernels(Device::cpu()).adam(nullptr, 0);
}

TEST_CASE("adam gives the same bits on one thread and on two, and for a parameter cut anywhere", "[adam]") {
  auto whole = [] {
    Arrays<float> a(100003, 5);
    AdamArgs args = a.args(3);
    kernels(Device::cpu()).adam(&args, 1);
    return a.param;
  };
  CHECK(same_on_two_threads(whole));
  Arrays<float> a(100003, 5);
  AdamArgs first = a.args(3), second = first;
  first.n = 33;
  second.n -= 33;
  second.param = a.param.data() + 33, second.grad = a.grad.data() + 33;
  second.m = a.m.data() + 33, second.v = a.v.data() + 33;
  AdamArgs both[] = {first, second};
  kernels(Device::cpu()).adam(both, 2);
  CHECK(a.param == whole());
}
