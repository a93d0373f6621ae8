// Random numbers and dropout. Element i of a tensor is drawn from position key.offset + i of the stream key.seed
// (tensor/math/philox.h), so the work may be cut anywhere.
#include "tensor/cpu/pack/pack_half.h"
#include "tensor/cpu/random/philox_pack.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {

namespace {

constexpr int64_t kGrain = 32768;  // elements a task
constexpr int kBlocks = 64;        // counters drawn together: 1 KiB of words
constexpr int kWords = 4 * kBlocks;
template <class S> constexpr int kDigits = std::is_same_v<S, half> ? 11 : std::is_same_v<S, bfloat16> ? 8 : 24;

// Calls f(draws, begin, skip, n) for consecutive pieces of [begin, end): draws[skip + j] belongs to element begin + j,
// j in [0, n). Bits is uint32_t or uint64_t. `draws` starts at a whole counter, so pairs start at even places.
template <class Bits, class F> INK_INLINE void for_draws(RandomKey key, int64_t begin, int64_t end, F f) {
  constexpr int per_block = 16 / sizeof(Bits);
  alignas(64) Bits draws[kBlocks * per_block];
  while (begin < end) {
    uint64_t position = key.offset + uint64_t(begin);
    int skip = int(position % per_block);
    philox_words(reinterpret_cast<uint32_t*>(draws), key.seed, position / per_block, sizeof(Bits) == 8, kBlocks);
    int64_t n = min<int64_t>(end - begin, kBlocks * per_block - skip);
    f(draws, begin, skip, int(n));
    begin += n;
  }
}

using P = Pack<float, kLanes<float>>;
using U = Pack<uint32_t, kLanes<float>>;
constexpr int L = P::lanes;

// y[0 .. n) = f(bits), a pack at a time.
template <class S, class F> INK_INLINE void map_bits(S* y, const uint32_t* bits, int n, F f) {
  int j = 0;
  for (; j + L <= n; j += L) store(y + j, f(U::load(bits + j), j, L));
  if (j < n) store(y + j, f(U::load(bits + j, n - j), j, n - j), n - j);
}

template <class S> void uniform_piece(S* y, RandomKey key, int64_t begin, int64_t end, float low, float high) {
  P range(high - low), start(low), limit(high);
  for_draws<uint32_t>(key, begin, end, [&](const uint32_t* draws, int64_t i, int skip, int n) {
    map_bits(y + i, draws + skip, n, [&](U bits, int, int) {
      P x = muladd(uniform_from<kDigits<S>>(bits), range, start);
      return select(x < limit, x, start);  // rounding can reach `high`
    });
  });
}
void uniform_piece(double* y, RandomKey key, int64_t begin, int64_t end, double low, double high) {
  for_draws<uint64_t>(key, begin, end, [&](const uint64_t* draws, int64_t i, int skip, int n) {
    for (int j = 0; j < n; ++j) {
      double x = low + ink::uniform_from(draws[skip + j]) * (high - low);
      y[i + j] = x < high ? x : low;
    }
  });
}

template <class S> void normal_piece(S* y, RandomKey key, int64_t begin, int64_t end, float mean, float std) {
  for_draws<uint32_t>(key, begin, end, [&](const uint32_t* draws, int64_t i, int skip, int n) {
    alignas(64) float z[kWords];
    for (int j = 0; j < skip + n; j += 2 * L) {
      U u = U::load(draws + j), v = U::load(draws + j + L);
      deinterleave(u, v);
      SinCos<L> pair = normal_from(u, v);
      interleave(pair.cos, pair.sin);
      pair.cos.store(z + j);
      pair.sin.store(z + j + L);
    }
    int j = 0;
    auto at = [&](P x) { return muladd(x, P(std), P(mean)); };
    for (; j + L <= n; j += L) store(y + i + j, at(P::load(z + skip + j)));
    if (j < n) store(y + i + j, at(P::load(z + skip + j, n - j)), n - j);
  });
}
void normal_piece(double* y, RandomKey key, int64_t begin, int64_t end, double mean, double std) {
  for_draws<uint64_t>(key, begin, end, [&](const uint64_t* draws, int64_t i, int skip, int n) {
    for (int j = 0; j < n; ++j) {
      int even = (skip + j) & ~1;
      NormalPair<double> pair = ink::normal_from(draws[even], draws[even + 1]);
      y[i + j] = mean + std * ((skip + j) & 1 ? pair.sin : pair.cos);
    }
  });
}

template <class S>
void dropout_piece(S* y, const S* x, RandomKey key, int64_t begin, int64_t end, float p, float scale) {
  for_draws<uint32_t>(key, begin, end, [&](const uint32_t* draws, int64_t i, int skip, int n) {
    map_bits(y + i, draws + skip, n, [&](U bits, int j, int count) {
      P v = count == L ? load<P>(x + i + j) : load<P>(x + i + j, count);
      return select(uniform_from<24>(bits) >= P(p), v * P(scale), P(0.f));
    });
  });
}
void dropout_piece(double* y, const double* x, RandomKey key, int64_t begin, int64_t end, float p, double scale) {
  for_draws<uint32_t>(key, begin, end, [&](const uint32_t* draws, int64_t i, int skip, int n) {
    for (int j = 0; j < n; ++j) y[i + j] = ink::uniform_from(draws[skip + j]) >= p ? x[i + j] * scale : 0.0;
  });
}

template <class S> using compute_t = std::conditional_t<std::is_same_v<S, double>, double, float>;

}  // namespace

void uniform(const Array& out, RandomKey key, double low, double high) {
  visit_real(out.dtype, [&]<class S>() {
    using C = compute_t<S>;
    parallel_for(out.shape.numel(), kGrain, [&](int64_t begin, int64_t end) {
      uniform_piece(static_cast<S*>(out.data), key, begin, end, C(low), C(high));
    });
  });
}

void normal(const Array& out, RandomKey key, double mean, double std) {
  visit_real(out.dtype, [&]<class S>() {
    using C = compute_t<S>;
    parallel_for(out.shape.numel(), kGrain, [&](int64_t begin, int64_t end) {
      normal_piece(static_cast<S*>(out.data), key, begin, end, C(mean), C(std));
    });
  });
}

void random_bits(const Array& out, RandomKey key, int64_t low, int64_t high) {
  int64_t* y = static_cast<int64_t*>(out.data);
  uint64_t range = uint64_t(high) - uint64_t(low);
  parallel_for(out.shape.numel(), kGrain, [&](int64_t begin, int64_t end) {
    for_draws<uint64_t>(key, begin, end, [&](const uint64_t* draws, int64_t i, int skip, int n) {
      for (int j = 0; j < n; ++j) y[i + j] = integer_from(draws[skip + j], low, range);
    });
  });
}

void dropout(DType dtype, void* y, const void* x, int64_t n, RandomKey key, double p) {
  double scale = p < 1 ? 1 / (1 - p) : 0;
  visit_real(dtype, [&]<class S>() {
    parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
      dropout_piece(static_cast<S*>(y), static_cast<const S*>(x), key, begin, end, float(p), compute_t<S>(scale));
    });
  });
}

}  // namespace ink::INK_CPU_LEVEL
