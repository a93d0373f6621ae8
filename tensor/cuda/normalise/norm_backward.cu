// With g = w dy:  dx = rstd (g - mean(g) - x_hat mean(g x_hat)), without mean(g) for RMS norm;  dw = sum dy x_hat and
// db = sum dy over rows (and over the inner positions of group norm).
//
// dx: a team of threads per row (team.h); x and dy are read once where the row fits in its registers. dw and db: x and
// dy are read once more, and summed in two steps. Inner = 1: a block's threads stand on neighbouring columns and walk
// down a piece of the rows, whose sums go to scratch memory. Else: a team per (row, channel) leaves its sums. Those are
// added by `reduce`.
#include "tensor/cuda/host/scratch.h"
#include "tensor/cuda/normalise/norm.h"

namespace ink::cuda {
namespace {

template <class T> struct RowStatistics {
  const T *mean, *rstd;  // mean null: 0
  __device__ __forceinline__ T mean_of(int64_t row) const { return mean ? mean[row] : T(0); }
};

template <class T, int N, int kPer, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    norm_input_gradient(const LineSet lines, const double per_n, T* dx, const T* dy, const T* x,
                        const RowStatistics<T> rows, const Parameter<T> weight) {
  const Team team(lines);
  const int64_t n = team.present ? lines.n : 0;
  const T m = team.present ? rows.mean_of(team.line) : T(0), s = team.present ? rows.rstd[team.line] : T(0);
  const Parameter<T> p = weight.of_row(team.line);
  x += team.start, dy += team.start, dx += team.start;

  Held<T, N, kPer> g, x_hat;
  const auto load = [&](int64_t first) {
    g.load(team, dy + first, n - first, T(0));
    x_hat.load(team, x + first, n - first, m);
    g.each_vector(team, n - first, [&](int k, int i) {
      const Vec<T, N> w = p.template at<N>(first + i);
      INK_UNROLL
      for (int j = 0; j < N; ++j) g.v[k + j] *= w.lane[j], x_hat.v[k + j] = (x_hat.v[k + j] - m) * s;
    });
  };
  double sum_g = 0, sum_gx = 0;
  for (int64_t first = 0; first < n; first += lines.chunk) {
    load(first);
    sum_g += double(g.sum(team, n - first, [&](int k) { return g.v[k]; }));
    sum_gx += double(g.sum(team, n - first, [&](int k) { return g.v[k] * x_hat.v[k]; }));
  }
  const T mean_g = rows.mean ? T(team.sum(sum_g) * per_n) : T(0), mean_gx = T(team.sum(sum_gx) * per_n);

  for (int64_t first = lines.last; first >= 0; first -= lines.chunk) {
    if (first + lines.chunk < n) load(first);
    g.store(team, dx + first, n - first, [&](int k, int) { return s * (g.v[k] - mean_g - x_hat.v[k] * mean_gx); });
  }
}

// Where sums of dy x_hat and dy go: [piece][columns] each.
template <class T> struct Sums {
  T *dw, *db;
  __device__ __forceinline__ void write(int64_t at, T w, T b) const {
    if (dw) dw[at] = w;
    if (db) db[at] = b;
  }
};

// dy and x as [batch, columns]; a block takes blockDim.x vectors of columns and `piece` rows.
template <class T, int N>
__global__ void __launch_bounds__(256)
    norm_column_sums(const int64_t batch, const int64_t columns, const int64_t piece, const int64_t channels,
                     const Sums<T> out, const T* dy, const T* x, const RowStatistics<T> rows) {
  INK_SHARED(T[2 * N * 256], all);  // [row of threads][dw or db, lane, column]
  const int width = int(blockDim.x), height = int(blockDim.y);
  const int64_t column = (int64_t(blockIdx.x) * width + threadIdx.x) * N, groups = columns / channels;
  T dw[N] = {}, db[N] = {};
  if (column < columns) {
    const int64_t group = groups == 1 ? 0 : column / channels, begin = blockIdx.y * piece;
    const int64_t end = begin + piece < batch ? begin + piece : batch;
    for (int64_t b = begin + threadIdx.y; b < end; b += height) {
      const Vec<T, N> g = load_vector<N>(dy + b * columns + column), v = load_vector<N>(x + b * columns + column);
      const T m = rows.mean_of(b * groups + group), s = rows.rstd[b * groups + group];
      INK_UNROLL
      for (int j = 0; j < N; ++j) dw[j] += g.lane[j] * ((v.lane[j] - m) * s), db[j] += g.lane[j];
    }
  }
  if (height == 1) {
    INK_UNROLL
    for (int j = 0; j < N; ++j)
      if (column < columns) out.write(blockIdx.y * columns + column + j, dw[j], db[j]);
    return;
  }
  INK_UNROLL
  for (int j = 0; j < N; ++j) {
    all[(threadIdx.y * 2 * N + j) * width + threadIdx.x] = dw[j];
    all[(threadIdx.y * 2 * N + N + j) * width + threadIdx.x] = db[j];
  }
  __syncthreads();
  for (int i = int(threadIdx.y * width + threadIdx.x); i < N * width; i += width * height) {
    const int64_t at = (int64_t(blockIdx.x) * width + i % width) * N + i / width;
    T w = all[i], b = all[N * width + i];
    for (int y = 1; y < height; ++y) w += all[y * 2 * N * width + i], b += all[(y * 2 * N + N) * width + i];
    if (at < columns) out.write(blockIdx.y * columns + at, w, b);
  }
}

// Lines are (row, channel).
template <class T, int N, int kPer, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    norm_channel_sums(const LineSet lines, const int64_t channels, const Sums<T> out, const T* dy, const T* x,
                      const RowStatistics<T> rows) {
  const Team team(lines);
  const int64_t n = team.present ? lines.n : 0, row = team.present ? team.line / channels : 0;
  const T m = rows.mean_of(row), s = rows.rstd[row];
  Held<T, N, kPer> g, v;
  double dw = 0, db = 0;
  for (int64_t first = 0; first < n; first += lines.chunk) {
    g.load(team, dy + team.start + first, n - first, T(0));
    v.load(team, x + team.start + first, n - first, m);
    dw += double(g.sum(team, n - first, [&](int k) { return g.v[k] * ((v.v[k] - m) * s); }));
    db += double(g.sum(team, n - first, [&](int k) { return g.v[k]; }));
  }
  dw = team.sum(dw), db = team.sum(db);
  if (team.present && team.rank == 0) out.write(team.line, T(dw), T(db));
}

// ---- the host's side

// Calls run(sums), which fills [pieces][columns] sums; these are then added to dweight and dbias.
template <class T, class F>
void in_pieces(DType dtype, int64_t pieces, int64_t columns, void* dweight, void* dbias, F&& run) {
  if (pieces == 1) return run(Sums<T>{static_cast<T*>(dweight), static_cast<T*>(dbias)});
  Scratch<T> w(dweight ? pieces * columns : 0), b(dbias ? pieces * columns : 0);
  run(Sums<T>{dweight ? w.data() : nullptr, dbias ? b.data() : nullptr});
  const auto add = [&](void* out, T* sums) {
    if (!out) return;
    reduce(index_of<fn::Sum, ReduceOps>, Array{out, dtype, {1, columns}, {0, 1}},
           Array{sums, dtype, {pieces, columns}, {columns, 1}});
  };
  add(dweight, w.data()), add(dbias, b.data());
}

template <class T, int N>
void column_sums(const NormArgs& a, void* dweight, void* dbias, const T* dy, const T* x, const RowStatistics<T>& rows) {
  const int64_t columns = a.groups * a.cols, batch = a.rows / a.groups, vectors = columns / N;
  // 256 pieces keep every multiprocessor busy also where columns are few; their sums are little beside what is read.
  const int64_t piece = ceil_div(batch, 256) > 64 ? ceil_div(batch, 256) : 64, pieces = ceil_div(batch, piece);
  int width = kWarp, height = 1;
  while (width > 1 && width / 2 >= vectors) width /= 2;
  while (width * height < 256 && (width * height < kWarp || height * 8 <= piece)) height *= 2;
  in_pieces<T>(a.dtype, pieces, columns, dweight, dbias, [&](Sums<T> out) {
    launch("norm_backward", norm_column_sums<T, N>, dim3(unsigned(ceil_div(vectors, width)), unsigned(pieces)),
           dim3(unsigned(width), unsigned(height)), 0, batch, columns, piece, a.cols, out, dy, x, rows);
  });
}

template <class T>
void channel_sums(const NormArgs& a, void* dweight, void* dbias, const T* dy, const T* x,
                  const RowStatistics<T>& rows) {
  const int64_t channels = a.cols / a.inner;
  const bool vectors = a.inner % kWidth<T> == 0 && is_aligned(dy, 16) && is_aligned(x, 16);
  in_pieces<T>(a.dtype, a.rows / a.groups, a.groups * channels, dweight, dbias, [&](Sums<T> out) {
    for_rows<T, 2>(a.rows * channels, a.inner, vectors,
                   [&]<int N, int kPer, class Team>(LineSet lines, dim3 grid, dim3 block) {
                     launch("norm_backward", norm_channel_sums<T, N, kPer, Team>, grid, block, 0, lines, channels, out,
                            dy, x, rows);
                   });
  });
}

}  // namespace

void norm_backward(const NormArgs& a, void* dx, void* dweight, void* dbias, const void* dy, const void* x,
                   const void* mean, const void* rstd, const void* weight) {
  check_rows(a);
  visit_float(a.dtype, [&]<class T>() {
    const T *g = static_cast<const T*>(dy), *v = static_cast<const T*>(x);
    const RowStatistics<T> rows{a.rms ? nullptr : static_cast<const T*>(mean), static_cast<const T*>(rstd)};
    const bool vectors = by_vectors<T>(a, dx, dy, x, weight);
    if (dx)
      for_rows<T, 2>(a.rows, a.cols, vectors, [&]<int N, int kPer, class Team>(LineSet lines, dim3 grid, dim3 block) {
        launch("norm_backward", norm_input_gradient<T, N, kPer, Team>, grid, block, 0, lines, 1 / double(a.cols),
               static_cast<T*>(dx), g, v, rows, Parameter<T>(a, weight, T(1)));
      });
    if (!dweight && !dbias) return;
    if (a.inner > 1)
      channel_sums<T>(a, dweight, dbias, g, v, rows);
    else if (by_vectors<T>(a, dy, x))
      column_sums<T, kWidth<T>>(a, dweight, dbias, g, v, rows);
    else
      column_sums<T, 1>(a, dweight, dbias, g, v, rows);
  });
}

}  // namespace ink::cuda
