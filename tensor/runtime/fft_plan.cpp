// Making the plan of an FFT: factors, twiddles, and the chirp of lengths with large prime factors.
#include "tensor/runtime/fft_plan.h"

#include <cmath>
#include <complex>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tensor/fork.h"

namespace ink {
namespace {

constexpr int64_t kSplitFrom = 128;  // shorter rows are transformed several at a time, one to a lane
constexpr int64_t kSplitRows = 8;    // fewer would leave lanes empty

// exp(-2 pi i k / n), in f64 whatever the type of the data; k is reduced first, so that the angle is exact to a
// rounding.
std::complex<double> root_of_unity(int64_t k, int64_t n) {
  return std::polar(1.0, -2 * M_PI * double(k % n) / double(n));
}

template <class T> struct OwnedPlan {
  FftPlan<T> plan{};
  std::vector<FftStage<T>> stages;
  std::vector<std::vector<T>> tables;

  const T* keep(std::vector<T> table) {
    tables.push_back(std::move(table));
    return tables.back().data();
  }
};

template <class T> void push(std::vector<T>& table, std::complex<double> z) {
  table.push_back(T(z.real()));
  table.push_back(T(z.imag()));
}

// The factors of n, eights and fours first, or none if one is above kMaxFftRadix. A pass costs a walk through the data:
// eights save the most of them, but 16 is two fours.
std::vector<int64_t> factors(int64_t n) {
  std::vector<int64_t> f;
  for (; n % 8 == 0 && (n % 16 != 0 || n % 32 == 0); n /= 8) f.push_back(8);
  for (; n % 4 == 0; n /= 4) f.push_back(4);
  for (int64_t p = 2; n > 1; ++p) {
    if (p > kMaxFftRadix) return {};
    for (; n % p == 0; n /= p) f.push_back(p);
  }
  return f;
}

template <class T> void make_stages(OwnedPlan<T>& o, const std::vector<int64_t>& radices) {
  o.plan.kind = FftPlan<T>::stages;
  int64_t n = o.plan.n;
  for (int64_t r : radices) {
    int64_t m = n / r;
    std::vector<T> twiddle, root;
    for (int64_t p = 0; p < m; ++p)
      for (int64_t j = 1; j < r; ++j) push(twiddle, root_of_unity(p * j, n));
    for (int64_t j = 0; j < r; ++j) push(root, std::conj(root_of_unity(j, r)));
    o.stages.push_back({r, m, o.keep(std::move(twiddle)), o.keep(std::move(root))});
    n = m;
  }
  o.plan.stage = o.stages.data();
  o.plan.stage_count = int64_t(o.stages.size());
}

// Radix 2, in f64: only for the tables below.
void transform(std::vector<std::complex<double>>& x) {
  size_t n = x.size();
  if (n == 1) return;
  std::vector<std::complex<double>> even(n / 2), odd(n / 2);
  for (size_t i = 0; i < n / 2; ++i) even[i] = x[2 * i], odd[i] = x[2 * i + 1];
  transform(even);
  transform(odd);
  for (size_t i = 0; i < n / 2; ++i) {
    std::complex<double> t = root_of_unity(int64_t(i), int64_t(n)) * odd[i];
    x[i] = even[i] + t;
    x[i + n / 2] = even[i] - t;
  }
}

template <class T> std::unique_ptr<OwnedPlan<T>> make_plan(int64_t n) {
  auto o = std::make_unique<OwnedPlan<T>>();
  FftPlan<T>& p = o->plan;
  p.n = n;
  std::vector<int64_t> radices = factors(n);
  if (radices.empty() && n > 1) {
    p.kind = FftPlan<T>::chirp;
    for (p.padded = 1; p.padded < 2 * n - 1;) p.padded *= 2;
    p.down = &fft_plan<T>(p.padded);
    std::vector<T> factor, filter;
    std::vector<std::complex<double>> kernel(p.padded);
    for (int64_t j = 0; j < n; ++j) {
      std::complex<double> c = root_of_unity(j * j % (2 * n), 2 * n);
      push(factor, c);
      kernel[j] = kernel[(p.padded - j) % p.padded] = std::conj(c) / double(p.padded);
    }
    transform(kernel);
    for (auto z : kernel) push(filter, z);
    p.factor = o->keep(std::move(factor));
    p.filter = o->keep(std::move(filter));
    return o;
  }
  int64_t rows = 1;
  for (int64_t d = 1; d * d <= n; ++d)
    if (n % d == 0) rows = d;
  if (n <= kSplitFrom || rows < kSplitRows) {
    make_stages(*o, radices);
    return o;
  }
  p.kind = FftPlan<T>::split;
  p.rows = rows;
  p.columns = n / rows;
  std::vector<T> cross(2 * n);
  for (int64_t k = 0; k < rows; ++k)
    for (int64_t j = 0; j < p.columns; ++j) {
      std::complex<double> z = root_of_unity(k * j, n);
      cross[k * p.columns + j] = T(z.real());
      cross[n + k * p.columns + j] = T(z.imag());
    }
  p.cross = o->keep(std::move(cross));
  // Both parts run down columns, so they need the passes themselves, however long they are.
  for (auto [part, length] : {std::pair(&p.down, rows), std::pair(&p.along, p.columns)}) {
    auto inner = std::make_unique<OwnedPlan<T>>();
    inner->plan.n = length;
    make_stages(*inner, factors(length));
    *part = &inner.release()->plan;  // kept for good, as the cache is
  }
  return o;
}

template <class T> struct OwnedConvolutionPlan {
  ConvolutionPlan<T> plan;
  std::vector<T> twist;
};

template <class T> std::unique_ptr<OwnedConvolutionPlan<T>> make_convolution_plan(int64_t n) {
  auto o = std::make_unique<OwnedConvolutionPlan<T>>();
  o->twist.resize(2 * n);
  for (int64_t j = 0; j < n; ++j) {
    const std::complex<double> w = root_of_unity(j, 4 * n);
    o->twist[j] = T(w.real()), o->twist[n + j] = T(w.imag());
  }
  o->plan = {&fft_plan<T>(n), o->twist.data()};
  return o;
}

// The least length of at least n that is a power of two, 3 or 5 times one, and has a split into multiples of 16.
int64_t convolution_length(int64_t n) {
  int64_t best = 0;
  for (int64_t m : {256, 1536, 5120}) {
    while (m < n) m *= 2;
    if (best == 0 || m < best) best = m;
  }
  return best;
}

template <class T> struct KeptPlans {
  ForkMutex mutex{ForkOrder::cache, ForkMutex::recursive};
  std::map<int64_t, std::unique_ptr<OwnedPlan<T>>> plans;
  std::map<int64_t, std::unique_ptr<OwnedConvolutionPlan<T>>> convolutions;
  std::map<int64_t, std::vector<T>> turns;
  static KeptPlans& all() {
    static auto& one = *new KeptPlans;  // never destroyed
    return one;
  }
};
[[maybe_unused]] const auto& kept_f32_early = KeptPlans<float>::all();
[[maybe_unused]] const auto& kept_f64_early = KeptPlans<double>::all();

}  // namespace

template <class T> const FftPlan<T>& fft_plan(int64_t n) {
  KeptPlans<T>& kept = KeptPlans<T>::all();
  std::lock_guard lock(kept.mutex);
  auto& plan = kept.plans[n];
  if (!plan) plan = make_plan<T>(n);
  return plan->plan;
}
template const FftPlan<float>& fft_plan<float>(int64_t);
template const FftPlan<double>& fft_plan<double>(int64_t);

template <class T> const T* real_fft_turns(int64_t half) {
  KeptPlans<T>& kept = KeptPlans<T>::all();
  std::lock_guard lock(kept.mutex);
  std::vector<T>& table = kept.turns[half];
  if (table.empty()) {
    table.resize(2 * (half + 1));
    for (int64_t k = 0; k <= half; ++k) {
      const std::complex<double> w = root_of_unity(k, 2 * half);
      table[k] = T(w.real()), table[half + 1 + k] = T(w.imag());
    }
  }
  return table.data();
}
template const float* real_fft_turns<float>(int64_t);
template const double* real_fft_turns<double>(int64_t);

template <class T> const ConvolutionPlan<T>& convolution_plan(int64_t n) {
  n = convolution_length(n);
  KeptPlans<T>& kept = KeptPlans<T>::all();
  std::lock_guard lock(kept.mutex);
  auto& plan = kept.convolutions[n];
  if (!plan) plan = make_convolution_plan<T>(n);
  return plan->plan;
}
template const ConvolutionPlan<float>& convolution_plan<float>(int64_t);
template const ConvolutionPlan<double>& convolution_plan<double>(int64_t);

}  // namespace ink
