// Adam(W) over all parameters in few launches: a launch carries the addresses of up to kMost parameters in its
// arguments, and each block works on one chunk of one of them. Four arrays are read and three written: 28 bytes per f32
// parameter.
#include "tensor/cuda/elementwise/elementwise.h"

namespace ink::cuda {
namespace {

constexpr int kMost = 32;            // parameters per launch; their description stays below 4 KiB
constexpr int64_t kChunk = 1 << 14;  // elements per block

struct Batch {
  AdamArgs param[kMost];
  int first_block[kMost + 1];  // the first block of each parameter
  int count;
};

template <class T> struct Step {  // the factors of one parameter; operations and order are those of torch.optim.AdamW
  T decay, scale, eps, beta1, rest1, beta2, rest2, rate, root2;
  __device__ __forceinline__ explicit Step(const AdamArgs& a) {
    double lr = a.lr, correction1 = a.correction1, correction2 = a.correction2;
    if (a.live) lr = a.live[0], correction1 = a.live[1], correction2 = a.live[2];
    decay = T(1 - lr * a.weight_decay), scale = T(a.grad_scale), eps = T(a.eps);
    beta1 = T(a.beta1), rest1 = T(1 - a.beta1), beta2 = T(a.beta2), rest2 = T(1 - a.beta2);
    rate = T(lr / correction1), root2 = T(fn::sqrt(correction2));
  }
  __device__ __forceinline__ void operator()(T& p, T grad, T& m, T& v) const {
    T g = grad * scale;
    m = m * beta1 + rest1 * g;
    v = v * beta2 + rest2 * g * g;
    p = p * decay - rate * m / (fn::sqrt(v) / root2 + eps);
  }
};

template <class T> __global__ void __launch_bounds__(kThreads) adam_kernel(const Batch batch) {
  int which = 0;
  while (which + 1 < batch.count && int(blockIdx.x) >= batch.first_block[which + 1]) ++which;
  const AdamArgs& a = batch.param[which];
  const Step<T> step(a);
  T *p = static_cast<T*>(a.param), *m = static_cast<T*>(a.m), *v = static_cast<T*>(a.v);
  const T* g = static_cast<const T*>(a.grad);
  const int64_t begin = int64_t(int(blockIdx.x) - batch.first_block[which]) * kChunk;
  const int64_t end = begin + kChunk < a.n ? begin + kChunk : a.n;
  constexpr int N = 16 / sizeof(T);
  for (int64_t i = begin + int64_t(threadIdx.x) * N; i < end; i += int64_t(blockDim.x) * N) {
    if (i + N <= end) {
      Vec<T, N> pv = load_vector<N>(static_cast<const T*>(p + i)), gv = load_vector<N>(g + i),
                mv = load_vector<N>(static_cast<const T*>(m + i)), vv = load_vector<N>(static_cast<const T*>(v + i));
      for (int j = 0; j < N; ++j) step(pv.lane[j], gv.lane[j], mv.lane[j], vv.lane[j]);
      store_vector<N>(p + i, pv);
      store_vector<N>(m + i, mv);
      store_vector<N>(v + i, vv);
    } else {
      for (int64_t j = i; j < end; ++j) step(p[j], g[j], m[j], v[j]);
    }
  }
}

// One element per turn, where an array does not start on 16 bytes (a parameter that is a view).
template <class T> __global__ void __launch_bounds__(kThreads) adam_elements(const AdamArgs a) {
  const Step<T> step(a);
  T *p = static_cast<T*>(a.param), *m = static_cast<T*>(a.m), *v = static_cast<T*>(a.v);
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < a.n) step(p[i], static_cast<const T*>(a.grad)[i], m[i], v[i]);
}

template <class T> void launch_batch(Batch& batch, int64_t largest) {
  const int threads = threads_for(ceil_div(largest, 16 / int(sizeof(T))));
  if (batch.count > 0)
    launch("adam", adam_kernel<T>, dim3(unsigned(batch.first_block[batch.count])), dim3(unsigned(threads)), 0, batch);
  batch.count = 0;
}

template <class T> void run(const AdamArgs* params, int64_t count) {
  Batch batch;
  batch.count = 0, batch.first_block[0] = 0;
  int64_t largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const AdamArgs& a = params[i];
    if (a.dtype != dtype_of<T> || a.n == 0) continue;
    if (!is_aligned(a.param, 16) || !is_aligned(a.grad, 16) || !is_aligned(a.m, 16) || !is_aligned(a.v, 16)) {
      const int threads = threads_for(a.n);
      launch("adam", adam_elements<T>, dim3(unsigned(ceil_div(a.n, threads))), dim3(unsigned(threads)), 0, a);
      continue;
    }
    batch.param[batch.count] = a;
    batch.first_block[batch.count + 1] = batch.first_block[batch.count] + int(ceil_div(a.n, kChunk));
    if (a.n > largest) largest = a.n;
    if (++batch.count == kMost) launch_batch<T>(batch, largest);
  }
  launch_batch<T>(batch, largest);
}

}  // namespace

void adam(const AdamArgs* params, int64_t count) {
  run<float>(params, count);
  run<double>(params, count);
}

}  // namespace ink::cuda
