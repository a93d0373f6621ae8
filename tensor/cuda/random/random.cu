// Random numbers and dropout. Element i is drawn from position key.offset + i of the stream key.seed
// (tensor/math/philox.h): uniforms are those of the CPU, bit for bit. A thread draws one counter, that is four words
// (two of 64 bits), and owns the elements they belong to.
#include "tensor/cuda/elementwise/elementwise.h"
#include "tensor/math/philox.h"

namespace ink::cuda {
namespace {

// The bits of a thread's elements: `first` is the element of draw 0 (it may lie before the array).
template <class Bits> struct Draws {
  static constexpr int count = 16 / sizeof(Bits);
  Bits bits[count];
  int64_t first;
};
template <class Bits> __device__ __forceinline__ Draws<Bits> draw(RandomKey key) {
  if (key.live) key.seed = key.live[0], key.offset += key.live[1];  // a replayed step goes on in the stream
  constexpr int count = Draws<Bits>::count;
  const uint64_t block = key.offset / count + uint64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const PhiloxWords r = philox(key.seed, block, sizeof(Bits) == 8);
  Draws<Bits> d;
  d.first = int64_t(block * count) - int64_t(key.offset);
  for (int j = 0; j < count; ++j)
    if constexpr (sizeof(Bits) == 4)
      d.bits[j] = r.w[j];
    else
      d.bits[j] = r.w[2 * j] | uint64_t(r.w[2 * j + 1]) << 32;
  return d;
}
template <class T> using bits_t = std::conditional_t<std::is_same_v<T, double>, uint64_t, uint32_t>;
template <class T> inline constexpr int kDigits = std::is_same_v<T, half> ? 11 : std::is_same_v<T, bfloat16> ? 8 : 24;

// On [0, 1), a number of T.
template <class T> __device__ __forceinline__ compute_t<T> uniform_of(bits_t<T> bits) {
  if constexpr (std::is_same_v<T, double>)
    return uniform_from(bits);
  else
    return float(bits >> (32 - kDigits<T>)) * (1.f / float(1 << kDigits<T>));
}

template <class T> __global__ void uniform_kernel(T* y, int64_t n, RandomKey key, compute_t<T> low, compute_t<T> high) {
  using C = compute_t<T>;
  const auto d = draw<bits_t<T>>(key);
  for (int j = 0; j < d.count; ++j) {
    const int64_t i = d.first + j;
    if (i < 0 || i >= n) continue;
    C x;
    if constexpr (std::is_same_v<T, double>)
      x = low + uniform_of<T>(d.bits[j]) * (high - low);
    else
      x = fn::fma(uniform_of<T>(d.bits[j]), high - low, low);
    y[i] = T(x < high ? x : low);  // rounding can reach `high`
  }
}

template <class T> __global__ void normal_kernel(T* y, int64_t n, RandomKey key, compute_t<T> mean, compute_t<T> std) {
  using C = compute_t<T>;
  const auto d = draw<bits_t<T>>(key);
  for (int j = 0; j < d.count; j += 2) {
    const NormalPair<C> pair = normal_from(d.bits[j], d.bits[j + 1]);
    const int64_t i = d.first + j;
    if (i >= 0 && i < n) y[i] = T(fn::fma(pair.cos, std, mean));
    if (i + 1 >= 0 && i + 1 < n) y[i + 1] = T(fn::fma(pair.sin, std, mean));
  }
}

__global__ void integers_kernel(int64_t* y, int64_t n, RandomKey key, int64_t low, uint64_t range) {
  const auto d = draw<uint64_t>(key);
  for (int j = 0; j < d.count; ++j)
    if (int64_t i = d.first + j; i >= 0 && i < n) y[i] = integer_from(d.bits[j], low, range);
}

template <class T>
__global__ void dropout_kernel(T* y, const T* x, int64_t n, RandomKey key, float p, compute_t<T> scale) {
  const auto d = draw<uint32_t>(key);
  for (int j = 0; j < d.count; ++j)
    if (int64_t i = d.first + j; i >= 0 && i < n)
      y[i] = uniform_from(d.bits[j]) >= p ? T(compute_t<T>(x[i]) * scale) : T(0.f);
}

// Enough threads for n elements wherever the stream's position falls within a counter.
template <class Bits, class... P, class... A>
void launch_draws(const char* name, void (*kernel)(P...), int64_t n, A... args) {
  const int64_t counters = ceil_div(n, Draws<Bits>::count) + 1;
  const int threads = threads_for(counters);
  launch(name, kernel, dim3(unsigned(ceil_div(counters, threads))), dim3(unsigned(threads)), 0, args...);
}

}  // namespace

void uniform(const Array& out, RandomKey key, double low, double high) {
  visit_real(out.dtype, [&]<class T>() {
    using C = compute_t<T>;
    const int64_t n = out.shape.numel();
    launch_draws<bits_t<T>>("uniform", uniform_kernel<T>, n, static_cast<T*>(out.data), n, key, C(low), C(high));
  });
}

void normal(const Array& out, RandomKey key, double mean, double std) {
  visit_real(out.dtype, [&]<class T>() {
    using C = compute_t<T>;
    const int64_t n = out.shape.numel();
    launch_draws<bits_t<T>>("normal", normal_kernel<T>, n, static_cast<T*>(out.data), n, key, C(mean), C(std));
  });
}

void random_bits(const Array& out, RandomKey key, int64_t low, int64_t high) {
  const int64_t n = out.shape.numel();
  launch_draws<uint64_t>("randint", integers_kernel, n, static_cast<int64_t*>(out.data), n, key, low,
                         uint64_t(high) - uint64_t(low));
}

void dropout(DType dtype, void* y, const void* x, int64_t n, RandomKey key, double p) {
  const double scale = p < 1 ? 1 / (1 - p) : 0;
  visit_real(dtype, [&]<class T>() {
    launch_draws<uint32_t>("dropout", dropout_kernel<T>, n, static_cast<T*>(y), static_cast<const T*>(x), n, key,
                           float(p), compute_t<T>(scale));
  });
}

}  // namespace ink::cuda
