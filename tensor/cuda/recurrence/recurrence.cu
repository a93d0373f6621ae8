// First-order linear recurrences, h_t = a_t h_{t-1} + b_t, as a scan over pairs: a stretch of steps takes h to a h + b,
// and two stretches in a row are (a2 a1, a2 b1 + b2). scan_lines.h has the walk.
#include "tensor/cuda/scan/scan_lines.h"
#include "tensor/math/math_complex.h"

namespace ink::cuda {
namespace {

template <class T> struct Stretch {
  T a, b;
  __device__ __forceinline__ static Stretch join(const Stretch& s, const Stretch& x) {
    return {x.a * s.a, x.a * s.b + x.b};
  }
};

// Where the factors and the start of a line stand.
template <class T> struct RecurrenceLine {
  const T *a, *first;  // first: h before the first step, or null
  bool constant;
  int64_t line = 0;
  __device__ __forceinline__ void enter(int64_t own) { line = own; }
  __device__ __forceinline__ T factor(int64_t at) const { return constant ? a[line] : a[at]; }
};

template <class T> struct Forward : RecurrenceLine<T> {
  using State = Stretch<T>;
  using In = Stretch<T>;
  const T* b;
  T* h;
  __device__ __forceinline__ static State lift(const In& x, int64_t) { return x; }
  __device__ __forceinline__ static State join(const State& s, const State& x) { return State::join(s, x); }
  __device__ __forceinline__ bool start(State& s) const {
    if (this->first) s = {T(1), this->first[this->line]};
    return this->first != nullptr;
  }
  template <int V> __device__ __forceinline__ Vec<In, V> load(int64_t at, int64_t) const {
    const Vec<T, V> added = load_vector<V>(b + at);
    Vec<In, V> in;
    for (int j = 0; j < V; ++j) in.lane[j] = {this->factor(at + j), added.lane[j]};
    return in;
  }
  template <int V> __device__ __forceinline__ void write(int64_t at, int64_t, const Vec<State, V>& s) const {
    Vec<T, V> out;
    for (int j = 0; j < V; ++j) out.lane[j] = s.lane[j].b;
    store_vector<V>(h + at, out);
  }
};

// db runs the other way: its step has the factor of the step that came after it in the recurrence.
template <class T> struct Backward : RecurrenceLine<T> {
  using State = Stretch<T>;
  using In = Stretch<T>;
  const T *dh, *h;
  T *da, *db;
  // of a line: steps, and elements from one to the next in the order of the recurrence (negative if it is reversed)
  int64_t n, stride;
  __device__ __forceinline__ static State lift(const In& x, int64_t) { return x; }
  __device__ __forceinline__ static State join(const State& s, const State& x) { return State::join(s, x); }
  __device__ __forceinline__ bool start(State&) const { return false; }
  template <int V> __device__ __forceinline__ Vec<In, V> load(int64_t at, int64_t place) const {
    Vec<In, V> in;
    for (int j = 0; j < V; ++j) {
      const bool is_last = place + j == (stride < 0 ? 0 : n - 1);
      in.lane[j] = {is_last ? T(0) : fn::conj(this->factor(at + j + stride)), dh[at + j]};
    }
    return in;
  }
  template <int V> __device__ __forceinline__ void write(int64_t at, int64_t place, const Vec<State, V>& s) const {
    for (int j = 0; j < V; ++j) {
      const bool is_first = place + j == (stride < 0 ? n - 1 : 0);
      const T before = !is_first ? h[at + j - stride] : this->first ? this->first[this->line] : T(0);
      db[at + j] = s.lane[j].b;
      da[at + j] = s.lane[j].b * fn::conj(before);
    }
  }
};

template <class T> RecurrenceLine<T> line_of(const RecurrenceArgs& r, const void* a, const void* start) {
  return {static_cast<const T*>(a), static_cast<const T*>(start), r.constant};
}

}  // namespace

void recurrence(const RecurrenceArgs& r, void* h, const void* a, const void* b, const void* start) {
  visit_field(r.dtype, [&]<class T>() {
    constexpr int V = int(16 / sizeof(T)) < 4 ? int(16 / sizeof(T)) : 4;
    scan_lines<V>(Forward<T>{line_of<T>(r, a, start), static_cast<const T*>(b), static_cast<T*>(h)}, r.lines, r.reverse,
                  is_aligned(h, 16) && is_aligned(b, 16));
  });
}

void recurrence_backward(const RecurrenceArgs& r, void* da, void* db, const void* dh, const void* a, const void* h,
                         const void* start) {
  visit_field(r.dtype, [&]<class T>() {
    scan_lines<1>(Backward<T>{line_of<T>(r, a, start), static_cast<const T*>(dh), static_cast<const T*>(h),
                              static_cast<T*>(da), static_cast<T*>(db), r.lines.n,
                              r.reverse ? -r.lines.inner : r.lines.inner},
                  r.lines, !r.reverse, true);
  });
}

}  // namespace ink::cuda
