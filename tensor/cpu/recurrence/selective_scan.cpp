// Mamba's selective scan (Gu & Dao 2023, algorithm 2) and its gradient, with the step of Euler for B and the exact one
// for A:
//
//   h_t = e^{delta_t A} h_{t-1} + delta_t B_t x_t,   y_t = sum over states of C_t h_t.
//
// With g = dy, and G_t the gradient of h_t, which runs backwards in time:
//
//   G_t = C_t g_t + e^{delta_{t+1} A} G_{t+1}      dC_t = sum over channels of g_t h_t
//   dx_t = delta_t sum over states of G_t B_t      dB_t = sum over channels of delta_t x_t G_t
//   dA = sum over t of delta_t G_t e^{delta_t A} h_{t-1}
//   ddelta_t = sum over states of G_t (A e^{delta_t A} h_{t-1} + B_t x_t)
//
// A pack holds neighbouring channels; states are the inner loop. States are never stored for all steps: the backward
// pass starts from the kept state of each chunk and computes those of kScanChunk steps again.
#include "tensor/cpu/row.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/table.h"
#include "tensor/parallel.h"

namespace ink::INK_CPU_LEVEL {
namespace {

constexpr int64_t kGroup = 64;  // channels of a task

template <class T> struct SelectiveInputs {
  const T *x, *delta, *a, *b, *c, *start;
  explicit SelectiveInputs(const SelectiveScanInputs& in)
      : x(static_cast<const T*>(in.x)),
        delta(static_cast<const T*>(in.delta)),
        a(static_cast<const T*>(in.a)),
        b(static_cast<const T*>(in.b)),
        c(static_cast<const T*>(in.c)),
        start(static_cast<const T*>(in.start)) {}
};

// Channels first .. first + count of one batch entry, count at most a pack's lanes.
template <class T> struct Channels {
  const SelectiveScanArgs& s;
  int64_t entry, first, count;
  int64_t at(int64_t t) const { return (entry * s.n + t) * s.channels + first; }  // in x, delta, y
  int64_t row(int64_t t) const { return (entry * s.n + t) * s.states; }           // in B, C
  int64_t chunk(int64_t t, int64_t state) const {                                 // in chunk_states
    return ((entry * ((s.n + kScanChunk - 1) / kScanChunk) + t / kScanChunk) * s.states + state) * s.channels + first;
  }
  Lanes<T> load(const T* p) const { return count == kLanes<T> ? Lanes<T>::load(p) : Lanes<T>::load(p, count); }
  void store(T* p, Lanes<T> v) const { count == kLanes<T> ? v.store(p) : v.store(p, count); }
  // [channels, states] to or from packs of channels.
  void gather(Lanes<T>* to, const T* from) const {
    for (int64_t k = 0; k < s.states; ++k) {
      to[k] = Lanes<T>(T(0));
      for (int64_t c = 0; c < count; ++c) to[k].v[c] = from[(first + c) * s.states + k];
    }
  }
  void scatter(T* to, const Lanes<T>* from) const {
    for (int64_t k = 0; k < s.states; ++k)
      for (int64_t c = 0; c < count; ++c) to[(first + c) * s.states + k] = from[k][int(c)];
  }
};

template <class T>
void scan_channels(const Channels<T>& ch, const SelectiveInputs<T>& in, T* y, T* last, T* chunk_states, Lanes<T>* a,
                   Lanes<T>* h) {
  const SelectiveScanArgs& s = ch.s;
  const int64_t matrix = ch.entry * s.channels * s.states;
  ch.gather(a, in.a);
  if (in.start)
    ch.gather(h, in.start + matrix);
  else
    for (int64_t k = 0; k < s.states; ++k) h[k] = Lanes<T>(T(0));
  for (int64_t t = 0; t < s.n; ++t) {
    if (chunk_states && t % kScanChunk == 0)
      for (int64_t k = 0; k < s.states; ++k) ch.store(chunk_states + ch.chunk(t, k), h[k]);
    const T *b = in.b + ch.row(t), *c = in.c + ch.row(t);
    const Lanes<T> delta = ch.load(in.delta + ch.at(t)), input = delta * ch.load(in.x + ch.at(t));
    Lanes<T> sum(T(0));
    for (int64_t k = 0; k < s.states; ++k) {
      h[k] = muladd(exp(delta * a[k]), h[k], input * Lanes<T>(b[k]));
      sum = muladd(Lanes<T>(c[k]), h[k], sum);
    }
    ch.store(y + ch.at(t), sum);
  }
  if (last) ch.scatter(last + matrix, h);
}

// What the gradients of a group of channels add up in.
template <class T> struct SelectiveSums {
  double* a;  // [channels, states] of this batch entry
  T *b, *c;   // [n, states] of this batch entry and group
};
// Packs that a group of channels works with; `blocks` packs make up the group.
template <class T> struct SelectiveScratch {
  Scratch<Lanes<T>> a, carry, da;  // [blocks][states]: A, e^{delta A} G of the step after, dA of a chunk
  Scratch<Lanes<T>> decay, h;      // [step][states], [1 + step][states]: of one chunk
  Scratch<Lanes<T>> db, dc;        // [step][states]: summed over the blocks, not yet over lanes
  SelectiveScratch(int64_t states, int64_t blocks)
      : a(blocks * states),
        carry(blocks * states),
        da(blocks * states),
        decay(kScanChunk * states),
        h((kScanChunk + 1) * states),
        db(kScanChunk * states),
        dc(kScanChunk * states) {}
};

// Steps first .. first + steps of one pack of channels: states forwards, then gradients backwards.
template <class T>
void chunk_gradients(const Channels<T>& ch, const SelectiveInputs<T>& in, const T* dy, const T* chunk_states,
                     const SelectiveScratch<T>& w, int64_t block, int64_t first, int64_t steps, T* dx, T* ddelta) {
  const int64_t states = ch.s.states;
  const Lanes<T>* a = w.a.data() + block * states;
  Lanes<T>*carry = w.carry.data() + block * states, *da = w.da.data() + block * states;
  for (int64_t k = 0; k < states; ++k) w.h[k] = ch.load(chunk_states + ch.chunk(first, k)), da[k] = Lanes<T>(T(0));
  for (int64_t i = 0; i < steps; ++i) {
    const Lanes<T> delta = ch.load(in.delta + ch.at(first + i)), input = delta * ch.load(in.x + ch.at(first + i));
    const T* b = in.b + ch.row(first + i);
    for (int64_t k = 0; k < states; ++k) {
      const Lanes<T> decay = exp(delta * a[k]);
      w.decay[i * states + k] = decay;
      w.h[(i + 1) * states + k] = muladd(decay, w.h[i * states + k], input * Lanes<T>(b[k]));
    }
  }
  for (int64_t i = steps - 1; i >= 0; --i) {
    const int64_t at = ch.at(first + i), row = ch.row(first + i);
    const Lanes<T> delta = ch.load(in.delta + at), x = ch.load(in.x + at), g = ch.load(dy + at), input = delta * x;
    Lanes<T> along_b(T(0)), along_decay(T(0));  // sums over states of G B and of G A e^{delta A} h
    for (int64_t k = 0; k < states; ++k) {
      const int64_t here = i * states + k;
      const Lanes<T> G = muladd(Lanes<T>(in.c[row + k]), g, carry[k]), next = G * w.decay[here], q = next * w.h[here];
      carry[k] = next;
      along_b = muladd(G, Lanes<T>(in.b[row + k]), along_b);
      along_decay = muladd(q, a[k], along_decay);
      da[k] = muladd(q, delta, da[k]);
      w.db[here] = muladd(G, input, w.db[here]);
      w.dc[here] = muladd(g, w.h[here + states], w.dc[here]);
    }
    ch.store(dx + at, delta * along_b);
    ch.store(ddelta + at, muladd(x, along_b, along_decay));
  }
}

template <class T>
void group_gradients(const SelectiveScanArgs& s, int64_t entry, int64_t first, const SelectiveInputs<T>& in,
                     const T* dy, const T* dlast, const T* chunk_states, T* dx, T* ddelta, T* dstart,
                     const SelectiveSums<T>& sums) {
  const int64_t end = first + kGroup < s.channels ? first + kGroup : s.channels, L = kLanes<T>,
                blocks = (end - first + L - 1) / L;
  const int64_t matrix = entry * s.channels * s.states;
  SelectiveScratch<T> w(s.states, blocks);
  const auto channels = [&](int64_t block) {
    const int64_t from = first + block * L;
    return Channels<T>{s, entry, from, end - from < L ? end - from : L};
  };
  for (int64_t block = 0; block < blocks; ++block) {
    channels(block).gather(w.a.data() + block * s.states, in.a);
    Lanes<T>* carry = w.carry.data() + block * s.states;
    if (dlast)
      channels(block).gather(carry, dlast + matrix);
    else
      for (int64_t k = 0; k < s.states; ++k) carry[k] = Lanes<T>(T(0));
  }
  for (int64_t begin = (s.n - 1) / kScanChunk * kScanChunk; begin >= 0; begin -= kScanChunk) {
    const int64_t steps = s.n - begin < kScanChunk ? s.n - begin : kScanChunk;
    for (int64_t i = 0; i < steps * s.states; ++i) w.db[i] = w.dc[i] = Lanes<T>(T(0));
    for (int64_t block = 0; block < blocks; ++block) {
      const Channels<T> ch = channels(block);
      chunk_gradients(ch, in, dy, chunk_states, w, block, begin, steps, dx, ddelta);
      for (int64_t k = 0; k < s.states; ++k)
        for (int64_t c = 0; c < ch.count; ++c)
          sums.a[(ch.first + c) * s.states + k] += double(w.da[block * s.states + k][int(c)]);
    }
    for (int64_t i = 0; i < steps * s.states; ++i) {
      sums.b[begin * s.states + i] = sum(w.db[i]);
      sums.c[begin * s.states + i] = sum(w.dc[i]);
    }
  }
  for (int64_t block = 0; block < blocks && dstart; ++block)
    channels(block).scatter(dstart + matrix, w.carry.data() + block * s.states);
}

// to[i] = sum over k of from[k][i], in the order of k.
template <class T, class S> void add_parts(T* to, const S* from, int64_t parts, int64_t n) {
  parallel_for(n, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < parts; ++k) sum += double(from[k * n + i]);
      to[i] = T(sum);
    }
  });
}

}  // namespace

void selective_scan(const SelectiveScanArgs& s, void* y, void* last, void* chunk_states,
                    const SelectiveScanInputs& inputs) {
  visit_float(s.dtype, [&]<class T>() {
    const SelectiveInputs<T> in(inputs);
    const int64_t packs = (s.channels + kLanes<T> - 1) / kLanes<T>;
    parallel_for(s.batch * packs, 1, [&](int64_t begin, int64_t end) {
      Scratch<Lanes<T>> a(s.states), h(s.states);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t first = task % packs * kLanes<T>, left = s.channels - first;
        scan_channels<T>({s, task / packs, first, left < kLanes<T> ? left : kLanes<T>}, in, static_cast<T*>(y),
                         static_cast<T*>(last), static_cast<T*>(chunk_states), a.data(), h.data());
      }
    });
  });
}

void selective_scan_backward(const SelectiveScanArgs& s, const SelectiveScanGradients& d, const void* dy,
                             const void* dlast, const SelectiveScanInputs& inputs, const void* chunk_states) {
  visit_float(s.dtype, [&]<class T>() {
    const SelectiveInputs<T> in(inputs);
    const int64_t groups = (s.channels + kGroup - 1) / kGroup, matrix = s.channels * s.states, rows = s.n * s.states;
    Scratch<double> da(s.batch * matrix);
    Scratch<T> db(groups * s.batch * rows), dc(groups * s.batch * rows);
    parallel_for(s.batch * groups, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t entry = task / groups, group = task % groups, first = group * kGroup;
        const int64_t last = first + kGroup < s.channels ? first + kGroup : s.channels;
        for (int64_t i = first * s.states; i < last * s.states; ++i) da[entry * matrix + i] = 0;
        group_gradients<T>(s, entry, first, in, static_cast<const T*>(dy), static_cast<const T*>(dlast),
                           static_cast<const T*>(chunk_states), static_cast<T*>(d.x), static_cast<T*>(d.delta),
                           static_cast<T*>(d.start),
                           {da.data() + entry * matrix, db.data() + (group * s.batch + entry) * rows,
                            dc.data() + (group * s.batch + entry) * rows});
      }
    });
    add_parts(static_cast<T*>(d.a), da.data(), s.batch, matrix);
    add_parts(static_cast<T*>(d.b), db.data(), groups, s.batch * rows);
    add_parts(static_cast<T*>(d.c), dc.data(), groups, s.batch * rows);
  });
}

}  // namespace ink::INK_CPU_LEVEL
