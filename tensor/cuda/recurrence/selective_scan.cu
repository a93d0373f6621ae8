// Mamba's selective scan and its gradient (the formulas stand in tensor/cpu/recurrence/selective_scan.cpp), one launch
// per direction.
//
// A block walks along time for kWide channels of one batch entry. kLanes neighbouring threads share a channel; each
// holds every kLanes-th of its states, K of them, in registers. Per chunk of kScanChunk steps the block brings x,
// delta, B and C to shared memory by rows, so that reads are coalesced, and takes y back the same way. The backward
// walk computes the states of a chunk again from the one that was kept, holds them in shared memory, and goes through
// them from the last. Gradients that add up over channels or batch entries are left as partial sums, which a second
// kernel adds in a fixed order.
//
// More than kLanes K states are taken kLanes K at a time: `first` is the first of a launch, and all launches but the
// one with first = 0 add to what y, dx and ddelta hold.
#include "tensor/cuda/device/team.h"
#include "tensor/cuda/host/scratch.h"

namespace ink::cuda {
namespace {

constexpr int kWide = 16, kLanes = 8, kBlock = kWide * kLanes, kSteps = int(kScanChunk);
constexpr int kWarps = kBlock / kWarp;

template <class T> struct Slice {
  SelectiveScanArgs s;
  int64_t first, count;  // of the states
  const T *x, *delta, *a, *b, *c, *start;
};

// Where a thread stands.
struct Place {
  int64_t entry, channel;
  int column, lane;
  bool inside;  // whether there is such a channel
};
template <class T> __device__ __forceinline__ Place own_place(const Slice<T>& in) {
  const int64_t blocks = ceil_div(in.s.channels, kWide);
  const int column = int(threadIdx.x) / kLanes;
  const int64_t channel = int64_t(blockIdx.x) % blocks * kWide + column;
  return {int64_t(blockIdx.x) / blocks, channel, column, int(threadIdx.x) % kLanes, channel < in.s.channels};
}

// tile[step][column] of an array [batch, n, channels], 0 outside.
template <class T>
__device__ __forceinline__ void load_tile(T (&tile)[kSteps][kWide], const T* from, const SelectiveScanArgs& s,
                                          int64_t entry, int64_t begin) {
  const int64_t first = int64_t(blockIdx.x) % ceil_div(s.channels, kWide) * kWide;
  for (int i = int(threadIdx.x); i < kSteps * kWide; i += kBlock) {
    const int64_t t = begin + i / kWide, channel = first + i % kWide;
    tile[i / kWide][i % kWide] =
        t < s.n && channel < s.channels ? from[(entry * s.n + t) * s.channels + channel] : T(0);
  }
}
template <class T>
__device__ __forceinline__ void store_tile(T* to, const T (&tile)[kSteps][kWide], const SelectiveScanArgs& s,
                                           int64_t entry, int64_t begin, bool add) {
  const int64_t first = int64_t(blockIdx.x) % ceil_div(s.channels, kWide) * kWide;
  for (int i = int(threadIdx.x); i < kSteps * kWide; i += kBlock) {
    const int64_t t = begin + i / kWide, channel = first + i % kWide;
    if (t >= s.n || channel >= s.channels) continue;
    T& out = to[(entry * s.n + t) * s.channels + channel];
    out = add ? out + tile[i / kWide][i % kWide] : tile[i / kWide][i % kWide];
  }
}
// tile[step][state] of an array [batch, n, states], 0 outside.
template <int K, class T>
__device__ __forceinline__ void load_states(T (&tile)[kSteps][kLanes * K], const T* from, const Slice<T>& in,
                                            int64_t entry, int64_t begin) {
  for (int i = int(threadIdx.x); i < kSteps * kLanes * K; i += kBlock) {
    const int64_t t = begin + i / (kLanes * K), state = i % (kLanes * K);
    tile[i / (kLanes * K)][state] =
        t < in.s.n && state < in.count ? from[(entry * in.s.n + t) * in.s.states + in.first + state] : T(0);
  }
}
// The K states of a thread, of an array [.., channels, states]; 0 outside.
template <int K, class T>
__device__ __forceinline__ void load_own(T (&own)[K], const T* from, const Slice<T>& in, const Place& p,
                                         int64_t entry) {
  INK_UNROLL
  for (int k = 0; k < K; ++k) {
    const int64_t state = p.lane + k * kLanes;
    own[k] = from && p.inside && state < in.count
                 ? from[(entry * in.s.channels + p.channel) * in.s.states + in.first + state]
                 : T(0);
  }
}
template <int K, class T>
__device__ __forceinline__ void store_own(T* to, const T (&own)[K], const Slice<T>& in, const Place& p, int64_t entry) {
  INK_UNROLL
  for (int k = 0; k < K; ++k) {
    const int64_t state = p.lane + k * kLanes;
    if (to && p.inside && state < in.count)
      to[(entry * in.s.channels + p.channel) * in.s.states + in.first + state] = own[k];
  }
}
// Element of chunk_states [batch, chunks, states, channels].
template <class T>
__device__ __forceinline__ int64_t kept_at(const Slice<T>& in, const Place& p, int64_t begin, int64_t state) {
  return ((p.entry * ceil_div(in.s.n, kScanChunk) + begin / kScanChunk) * in.s.states + in.first + state) *
             in.s.channels +
         p.channel;
}
template <class T> struct Sum {
  __device__ __forceinline__ T operator()(T a, T b) const { return a + b; }
};

template <int K, class T>
__global__ void __launch_bounds__(kBlock) selective_scan_kernel(const Slice<T> in, T* y, T* last, T* kept) {
  using ByChannel = T[kSteps][kWide];
  using ByState = T[kSteps][kLanes * K];
  INK_SHARED(ByChannel, x);
  INK_SHARED(ByChannel, delta);
  INK_SHARED(ByChannel, out);
  INK_SHARED(ByState, b);
  INK_SHARED(ByState, c);
  const Place p = own_place(in);
  T a[K], h[K];
  load_own(a, in.a, in, p, 0);
  load_own(h, in.start, in, p, p.entry);
  for (int64_t begin = 0; begin < in.s.n; begin += kSteps) {
    load_tile(x, in.x, in.s, p.entry, begin);
    load_tile(delta, in.delta, in.s, p.entry, begin);
    load_states<K>(b, in.b, in, p.entry, begin);
    load_states<K>(c, in.c, in, p.entry, begin);
    __syncthreads();
    INK_UNROLL
    for (int k = 0; k < K; ++k) {
      const int state = p.lane + k * kLanes;
      if (kept && p.inside && state < in.count) kept[kept_at(in, p, begin, state)] = h[k];
    }
    const int steps = int(in.s.n - begin < kSteps ? in.s.n - begin : kSteps);
    for (int i = 0; i < steps; ++i) {
      const T step = delta[i][p.column], input = step * x[i][p.column];
      T sum = 0;
      INK_UNROLL
      for (int k = 0; k < K; ++k) {
        const int state = p.lane + k * kLanes;
        h[k] = fn::fma(fn::exp(step * a[k]), h[k], input * b[i][state]);
        sum = fn::fma(c[i][state], h[k], sum);
      }
      sum = merge_lanes(sum, kLanes, Sum<T>());
      if (p.lane == 0) out[i][p.column] = sum;
    }
    __syncthreads();
    store_tile(y, out, in.s, p.entry, begin, in.first > 0);
    __syncthreads();
  }
  store_own(last, h, in, p, p.entry);
}

// What the backward walk writes. Partial sums: a [batch, channels, states], b and c [channel block, batch, n, states].
template <class T> struct Gradients { T *x, *delta, *a, *b, *c, *start; };

template <int K, class T>
__global__ void __launch_bounds__(kBlock) selective_scan_backward_kernel(const Slice<T> in, const Gradients<T> d,
                                                                         const T* dy, const T* dlast, const T* kept) {
  using ByChannel = T[kSteps][kWide];
  using ByState = T[kSteps][kLanes * K];
  using BySums = T[kWarps][kSteps][kLanes * K];
  INK_SHARED(ByChannel, x);
  INK_SHARED(ByChannel, delta);
  INK_SHARED(ByChannel, g);
  INK_SHARED(ByState, b);
  INK_SHARED(ByState, c);
  INK_SHARED(BySums, db);
  INK_SHARED(BySums, dc);
  T* const states = dynamic_shared<T>();  // [step][k][thread]: h before the step
  const Place p = own_place(in);
  const int warp = int(threadIdx.x) / kWarp;
  T a[K], da[K] = {}, carry[K], h[K];
  load_own(a, in.a, in, p, 0);
  load_own(carry, dlast, in, p, p.entry);
  for (int64_t begin = (in.s.n - 1) / kSteps * kSteps; begin >= 0; begin -= kSteps) {
    load_tile(x, in.x, in.s, p.entry, begin);
    load_tile(delta, in.delta, in.s, p.entry, begin);
    load_tile(g, dy, in.s, p.entry, begin);
    load_states<K>(b, in.b, in, p.entry, begin);
    load_states<K>(c, in.c, in, p.entry, begin);
    __syncthreads();
    const int steps = int(in.s.n - begin < kSteps ? in.s.n - begin : kSteps);
    INK_UNROLL
    for (int k = 0; k < K; ++k) {  // the states of the chunk
      const int state = p.lane + k * kLanes;
      h[k] = p.inside && state < in.count ? kept[kept_at(in, p, begin, state)] : T(0);
      for (int i = 0; i < steps; ++i) {
        states[(i * K + k) * kBlock + int(threadIdx.x)] = h[k];
        const T step = delta[i][p.column];
        h[k] = fn::fma(fn::exp(step * a[k]), h[k], step * x[i][p.column] * b[i][state]);
      }
    }
    for (int i = steps - 1; i >= 0; --i) {
      const T step = delta[i][p.column], value = x[i][p.column], gradient = g[i][p.column];
      T along_b = 0, along_decay = 0;  // sums over states of G B and of G A e^{delta A} h
      INK_UNROLL
      for (int k = 0; k < K; ++k) {
        const int state = p.lane + k * kLanes;
        const T before = states[(i * K + k) * kBlock + int(threadIdx.x)], G = fn::fma(c[i][state], gradient, carry[k]);
        carry[k] = fn::exp(step * a[k]) * G;
        const T q = carry[k] * before;
        along_b = fn::fma(G, b[i][state], along_b);
        along_decay = fn::fma(q, a[k], along_decay);
        da[k] = fn::fma(q, step, da[k]);
        // over the channels of a warp, whose threads of one lane number hold the same state
        T of_b = p.inside ? G * step * value : T(0), of_c = p.inside ? gradient * h[k] : T(0);
        for (int by = kLanes; by < kWarp; by *= 2)
          of_b += __shfl_xor_sync(kFull, of_b, by), of_c += __shfl_xor_sync(kFull, of_c, by);
        if (int(threadIdx.x) % kWarp < kLanes) db[warp][i][state] = of_b, dc[warp][i][state] = of_c;
        h[k] = before;
      }
      along_b = merge_lanes(along_b, kLanes, Sum<T>());
      along_decay = merge_lanes(along_decay, kLanes, Sum<T>());
      __syncwarp();
      if (p.lane == 0) {
        x[i][p.column] = step * along_b;  // the step's inputs are done with: their places take the gradients
        delta[i][p.column] = fn::fma(value, along_b, along_decay);
      }
    }
    __syncthreads();
    store_tile(d.x, x, in.s, p.entry, begin, in.first > 0);
    store_tile(d.delta, delta, in.s, p.entry, begin, in.first > 0);
    const int64_t block = int64_t(blockIdx.x) % ceil_div(in.s.channels, kWide);
    for (int i = int(threadIdx.x); i < steps * kLanes * K; i += kBlock) {
      const int t = i / (kLanes * K), state = i % (kLanes * K);
      if (state >= in.count) continue;
      T sum_b = 0, sum_c = 0;
      for (int w = 0; w < kWarps; ++w) sum_b += db[w][t][state], sum_c += dc[w][t][state];
      const int64_t at = ((block * in.s.batch + p.entry) * in.s.n + begin + t) * in.s.states + in.first + state;
      d.b[at] = sum_b, d.c[at] = sum_c;
    }
    __syncthreads();
  }
  store_own(d.a, da, in, p, p.entry);
  store_own(d.start, carry, in, p, p.entry);
}

// to[i] = sum over k of parts[k][i].
template <class T>
__global__ void __launch_bounds__(256) add_parts(T* to, const T* parts, const int64_t count, const int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  T sum = 0;
  for (int64_t k = 0; k < count; ++k) sum += parts[k * n + i];
  to[i] = sum;
}
template <class T> void add(void* to, const Scratch<T>& parts, int64_t count, int64_t n) {
  launch("selective_scan_sums", add_parts<T>, dim3(unsigned(ceil_div(n, 256))), dim3(256), 0, static_cast<T*>(to),
         parts.data(), count, n);
}

// The states of a chunk, in bytes. Beside the other arrays they need more than the 48 KiB that every kernel may have; a
// device gives more only to who asks for more in dynamic memory.
template <int K, class T> size_t history_bytes() {
  const size_t bytes = size_t(kSteps) * K * kBlock * sizeof(T),
               others = (3 * kWide + 2 * kLanes * K * (1 + kWarps)) * kSteps * sizeof(T);
  const size_t usual = size_t(48) << 10;
  return bytes <= usual && bytes + others > usual ? usual + 16 : bytes;
}

// Calls run<K>(slice) for the states of each launch: 16 where that is enough, else 32, which is what shared memory
// holds in f64.
template <class T, class F> void for_states(const SelectiveScanArgs& s, const SelectiveScanInputs& in, F run) {
  const auto of = [](const void* p) { return static_cast<const T*>(p); };
  const int64_t most = s.states <= 2 * kLanes ? 2 * kLanes : 4 * kLanes;
  for (int64_t first = 0; first < s.states; first += most) {
    const Slice<T> slice{s,        first,        s.states - first < most ? s.states - first : most,
                         of(in.x), of(in.delta), of(in.a),
                         of(in.b), of(in.c),     of(in.start)};
    if (most == 2 * kLanes)
      run.template operator()<2>(slice);
    else
      run.template operator()<4>(slice);
  }
}

}  // namespace

void selective_scan(const SelectiveScanArgs& s, void* y, void* last, void* chunk_states,
                    const SelectiveScanInputs& inputs) {
  visit_float(s.dtype, [&]<class T>() {
    const dim3 grid(unsigned(s.batch * ceil_div(s.channels, kWide)));
    for_states<T>(s, inputs, [&]<int K>(const Slice<T>& in) {
      launch("selective_scan", selective_scan_kernel<K, T>, grid, dim3(kBlock), 0, in, static_cast<T*>(y),
             static_cast<T*>(last), static_cast<T*>(chunk_states));
    });
  });
}

void selective_scan_backward(const SelectiveScanArgs& s, const SelectiveScanGradients& d, const void* dy,
                             const void* dlast, const SelectiveScanInputs& inputs, const void* chunk_states) {
  visit_float(s.dtype, [&]<class T>() {
    const int64_t blocks = ceil_div(s.channels, kWide), rows = s.batch * s.n * s.states, matrix = s.channels * s.states;
    Scratch<T> da(s.batch * matrix), db(blocks * rows), dc(blocks * rows);
    for_states<T>(s, inputs, [&]<int K>(const Slice<T>& in) {
      const Gradients<T> out{static_cast<T*>(d.x),    static_cast<T*>(d.delta), da.data(), db.data(), dc.data(),
                             static_cast<T*>(d.start)};
      launch("selective_scan_backward", selective_scan_backward_kernel<K, T>, dim3(unsigned(s.batch * blocks)),
             dim3(kBlock), history_bytes<K, T>(), in, out, static_cast<const T*>(dy), static_cast<const T*>(dlast),
             static_cast<const T*>(chunk_states));
    });
    add(d.a, da, s.batch, matrix);
    add(d.b, db, blocks, rows);
    add(d.c, dc, blocks, rows);
  });
}

}  // namespace ink::cuda
