// The table of kernels a backend fills. Kernels see plain structs: pointers, sizes, strides; raw.h checks, allocates
// and calls them. No Tensor here: the file is compiled for every CPU level and by nvcc.
//
// Conventions: f16 and bf16 arrive only in the list ops, copies, fills and random numbers; other slots get f32, f64
// (and what their comment names). Contiguous means row-major without gaps. `Lines` walks one dim of a contiguous array:
// element (o, i, j) stands at (o * n + i) * inner + j, i being the dim in question.
#pragma once
#include <cstdint>

#include "tensor/device.h"
#include "tensor/math/dtype.h"
#include "tensor/math/functors.h"
#include "tensor/math/scalar.h"
#include "tensor/shape.h"

namespace ink {

struct Array {  // a strided array; strides in elements, 0 where broadcast
  void* data;
  DType dtype;
  Shape shape, strides;
};
struct Lines {
  int64_t outer, n, inner;
};

struct RandomKey {  // element i draws from stream position offset + i
  uint64_t seed, offset;
  const uint64_t* live = nullptr;  // in a captured step: {seed, what to add to offset}, in device memory
};

struct SoftmaxArgs {
  DType dtype;
  Lines lines;
  bool log;  // log_softmax
  // 0: all n entries count. Else lines come in matrices of this many rows (inner = 1), and row r of a
  int64_t causal_rows;
  // matrix counts its first r + 1 + n - causal_rows entries; the others are 0 (-inf for log).
};
// Normalisation of rows of `cols` values: layer norm, RMS norm (mean taken as 0), group norm. The affine parameters of
// (row, col) stand at (row % groups) * (cols / inner) + col / inner: layer norm has groups = inner = 1, group norm of
// [batch, channel, space] has rows = batch * groups, inner = space.
struct NormArgs {
  DType dtype;
  int64_t rows, cols, groups, inner;
  double eps;
  bool rms;
};
struct CrossEntropyArgs {
  DType dtype;
  int64_t rows, classes;
  int64_t ignore_index;    // rows with this target have loss and gradient 0
  double label_smoothing;  // target mass spread evenly over all classes
};
// Windows of kh x kw taps over a plane of h x w pixels, one per output pixel: output pixel (p, q) looks by tap (r, s)
// at pixel (p stride_h - pad_h + r dilation_h, q stride_w - pad_w + s dilation_w). Pixels outside the plane count as 0,
// in a maximum not at all.
struct WindowArgs {
  int64_t h, w, kh, kw, oh, ow;
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;

  INK_HD INK_INLINE int64_t plane() const { return h * w; }
  INK_HD INK_INLINE int64_t taps() const { return kh * kw; }
  INK_HD INK_INLINE int64_t out_plane() const { return oh * ow; }
};
// x [batch, in, h, w], weight [out, in / groups, kh, kw], y [batch, out, oh, ow]
struct ConvArgs : WindowArgs {
  DType dtype;
  int64_t batch, in, out, groups;

  INK_HD INK_INLINE int64_t group_in() const { return in / groups; }  // channels of one group
  INK_HD INK_INLINE int64_t group_out() const { return out / groups; }
};
// Causal convolution of rows: y_t = sum over j <= t of kernel_j u_{t-j}, u and y [batch, channels, n], kernel
// [channels, taps], 1 <= taps <= n; all contiguous. The adjoints: du_t = sum of kernel_j dy_{t+j}, and dkernel_j = sum
// of dy_{t+j} u_t over t and the batch.
enum class FftConvolution {
  forward,          // y from u and kernel
  backward_input,   // du from dy and kernel
  backward_kernel,  // dkernel from dy and u
};
struct FftConvolutionArgs {
  DType dtype;  // f32 f64
  int64_t batch, channels, n, taps;
  FftConvolution which;
};
struct PoolArgs : WindowArgs {  // x [planes, h, w], y [planes, oh, ow]
  DType dtype;
  int64_t planes;
  bool count_include_pad;  // means are over the padded plane; else over the pixels of the plane alone
};
enum class Epilogue {  // what a product does to its result
  none,
  relu,       // fn::Relu, for real floats
  gelu_tanh,  // fn::GeluTanh, for real floats
};
// c = epilogue(alpha a b + beta c + bias), per batch entry; strides in elements, batch strides may be 0
struct GemmArgs {
  DType dtype;  // f32 f64 c64 c128, and i64 i32 u8; with half_products also f16 bf16, computed in f32
  int64_t batch, m, n, k;
  const void* a;
  int64_t a_row, a_col, a_batch;
  const void* b;
  int64_t b_row, b_col, b_batch;
  void* c;  // contiguous rows
  int64_t c_row, c_batch;
  double alpha, beta;          // with beta = 0 the old values of c do not matter
  const void* bias = nullptr;  // n values, added to every row; needs beta = 0
  Epilogue epilogue = Epilogue::none;
  // f32 f64 f16 bf16: a row of c follows from that row of a and from b alone, bit for bit (tensor/batch_invariant.h)
  bool batch_invariant = false;
};
// Attention: o_i = sum_j p_ij v_j, where p_i is the softmax over the keys j that query i sees of the scores
//   s_ij = cap(scale q_i . k_j) - slope |j - i - diagonal|,   cap(s) = softcap tanh(s / softcap), or s if softcap = 0.
// Query i sees key j if low <= j - i <= high, and mask and tiles (each may be absent) say so too. A query that sees no
// key gets o = 0 and lse = -inf. q [batch, heads, nq, d], k and v [batch, kv_heads, nk, d or dv]: strides of batch,
// head and row, elements of a row lie side by side. Everything else is contiguous. Query head h reads the keys of head
// h / (heads / kv_heads).
inline constexpr int64_t kMaskTile = 64;               // rows and columns of a tile of a block mask
inline constexpr int64_t kNoBound = int64_t(1) << 40;  // of low (negative) and high: all keys
// The gradients to be written, and what they follow from: contiguous, but for q, k and v, whose strides AttentionArgs
// has. dlse may be null.
struct AttentionBackwardArrays {
  void *dq, *dk, *dv;
  const void *dout, *dlse, *q, *k, *v, *out, *lse;
};
struct AttentionArgs {
  DType dtype;  // f32 f64; on a CUDA device also f16 bf16, with f32 inside. lse is f64 for f64, else f32
  int64_t batch, heads, kv_heads, nq, nk, d, dv;
  int64_t q_strides[3], k_strides[3], v_strides[3];
  double scale, softcap;
  int64_t low, high, diagonal;
  const void* slopes = nullptr;  // ALiBi: one per head, of lse's dtype
  const bool* mask = nullptr;    // strides of batch, head, query, key; 0 where broadcast
  int64_t mask_strides[4] = {};
  // tiles[batch][head][i / kMaskTile][j / kMaskTile] (the last two contiguous) names the tile of `bits` [.., kMaskTile,
  // kMaskTile] that says which of its keys are seen. Tile 0 is none, tile 1 is all.
  const int32_t* tiles = nullptr;
  int64_t tile_strides[2] = {};
  const bool* bits = nullptr;
  // p_ij is kept, and divided by 1 - dropout, if the draw at position ((b heads + h) nq + i) nk + j is >= dropout
  double dropout = 0;
  RandomKey key = {};
  // rows and columns of the scores that are computed together; 0: the kernel's own choice
  int64_t block_q = 0, block_k = 0;
  // forward, without dropout: o_i follows from q_i and the keys and values that it sees alone, bit for bit
  bool batch_invariant = false;
};
// o_i = sum over j <= i of e^{decay_i - decay_j} (q_i . k_j) v_j, or over j >= i with `reverse`.
struct LinearAttentionArgs {  // contiguous: q, k [batch, n, d], v, out [batch, n, dv], decay [batch, n] (null: 0)
  DType dtype;                // f32, f64
  int64_t batch, n, d, dv;
  bool reverse;
};
// First-order linear recurrences along a dim: h_t = a_t h_{t-1} + b_t, from the end to the front with `reverse`; before
// the first step h is `start` [outer, inner] (null: 0). b and h [outer, n, inner]; a the same, or [outer, inner] if
// `constant`: the factor of every step.
struct RecurrenceArgs {
  DType dtype;  // f32 f64 c64 c128
  Lines lines;
  bool reverse, constant;
};
// The selective scan of Mamba (Gu & Dao 2023, algorithm 2): for channel c and state s
//   h_t = e^{delta_t A} h_{t-1} + delta_t B_t x_t,   y_t = sum over s of C_t h_t.
// x, delta, y [batch, n, channels]; A [channels, states]; B, C [batch, n, states]; h before the first step and after
// the last [batch, channels, states]. All contiguous and of one dtype.
struct SelectiveScanArgs {
  DType dtype;  // f32 f64
  int64_t batch, n, channels, states;
};
// Every so many steps the forward pass keeps h, [batch, ceil(n / kScanChunk), states, channels] (h before the chunk's
// first step): from there the backward pass computes the others again.
inline constexpr int64_t kScanChunk = 16;
// start may be null
struct SelectiveScanInputs {
  const void *x, *delta, *a, *b, *c, *start;
};
// start may be null
struct SelectiveScanGradients {
  void *x, *delta, *a, *b, *c, *start;
};
struct AdamArgs {  // one step of Adam(W) over one parameter of n values, all arrays contiguous and of one dtype
  DType dtype;
  int64_t n;
  void* param;
  const void* grad;
  void *m, *v;
  double lr, beta1, beta2, eps, weight_decay;  // decoupled: param *= 1 - lr * weight_decay
  double correction1, correction2;             // 1 - beta^t
  double grad_scale;                           // grad is multiplied by this first
  const double* live = nullptr;                // in a captured step: {lr, correction1, correction2}, in device memory
};

// What indices must be: 0 .. n - 1; with `wrap` also -n .. -1, counted from the end; with `ignores` also the one value
// `ignored` (a target that does not count). Every other i64 is refused, the smallest and largest too.
struct IndexCheck {
  const char* op;
  int64_t n;
  bool wrap;
  bool ignores = false;
  int64_t ignored = 0;

  INK_HD INK_INLINE bool takes(int64_t v) const {
    return (v >= 0 && v < n) || (wrap && v < 0 && v >= -n) || (ignores && v == ignored);
  }
  INK_HD INK_INLINE int64_t place_of(int64_t v) const { return wrap && v < 0 ? v + n : v; }
};

enum class ScanOp { sum, prod, max, logsumexp };

// clang-format off
struct Kernels {
  // ---- loops over strided arrays; inputs are already broadcast to out's shape (functors: tensor/math/functors.h)
  void (*unary)(int op, const void* functor, const Array& out, const Array& a);
  void (*binary)(int op, const void* functor, const Array& out, const Array& a, const Array& b);
  void (*where)(const Array& out, const Array& condition, const Array& a, const Array& b);
  // with conversion between any two dtypes (complex to real: real part)
  void (*copy)(const Array& out, const Array& a);
  void (*fill)(const Array& out, const Scalar& value);
  void (*arange)(const Array& out, const Scalar& start, const Scalar& step);  // contiguous: start + i * step
  // ---- reductions: out has in's rank, with size 1 and stride 0 in the reduced dims
  void (*reduce)(int op, const Array& out, const Array& in);
  // contiguous; NaN wins, ties: first
  void (*arg_reduce)(bool max, const Array& values, const Array& indices, const Array& in, Lines lines);
  void (*var_mean)(const Array& var, const Array& mean, const Array& in, Lines lines, double correction);  // contiguous
  // indices for max only
  void (*scan)(ScanOp op, DType dtype, void* out, int64_t* indices, const void* in, Lines lines, bool reverse);
  // ---- indices, i64. check_index copies them, negative ones counted from the end, and returns the place of the first
  // that is outside (-1: none). A CUDA device returns -1 always, writes -1 for those outside, and reports them at its next
  // synchronisation; its other kernels skip what is -1 (read as 0, written nowhere).
  int64_t (*check_index)(const IndexCheck& check, int64_t* out, const int64_t* in, int64_t count);
  void (*gather)(const Array& out, const Array& in, const Array& index, int dim);            // out.shape = index.shape
  void (*scatter)(const Array& out, const Array& src, const Array& index, int dim, bool add);  // in a fixed order
  void (*index_select)(void* out, const void* in, const int64_t* index, int64_t k, Lines lines, int64_t item_bytes);
  void (*index_add)(DType dtype, void* out, const void* src, const int64_t* index, int64_t k, Lines lines);
  int64_t (*nonzero)(const bool* mask, int64_t n, int64_t* out);  // flat positions in order; out may be null to count
  // stable, NaN counts as the largest
  void (*sort)(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, bool descending);
  void (*topk)(DType dtype, void* values, int64_t* indices, const void* in, Lines lines, int64_t k, bool largest);
  // ---- rows, fused
  void (*softmax)(const SoftmaxArgs&, void* y, const void* x);
  void (*softmax_backward)(const SoftmaxArgs&, void* dx, const void* dy, const void* y);
  // weight, bias may be null
  void (*norm)(const NormArgs&, void* y, void* mean, void* rstd, const void* x, const void* weight, const void* bias);
  void (*norm_backward)(const NormArgs&, void* dx, void* dweight, void* dbias, const void* dy, const void* x, const void* mean,
                        const void* rstd, const void* weight);  // dx, dweight, dbias, weight may be null
  // loss, lse [rows]
  void (*cross_entropy)(const CrossEntropyArgs&, void* loss, void* lse, const void* logits, const int64_t* target);
  void (*cross_entropy_backward)(const CrossEntropyArgs&, void* dlogits, const void* dloss, const void* logits, const void* lse,
                                 const int64_t* target);  // dloss [rows]
  // ---- products and convolutions
  bool half_products;   // whether gemm takes f16 and bf16 (in f32 inside, one rounding),
  bool half_attention;  // and attention
  // false, and nothing is done, if it cannot take this bias or epilogue, or sums without terms (k = 0)
  bool (*gemm)(const GemmArgs&);
  void (*conv2d)(const ConvArgs&, void* y, const void* x, const void* weight, const void* bias);  // bias may be null
  void (*conv2d_backward_input)(const ConvArgs&, void* dx, const void* dy, const void* weight);
  void (*conv2d_backward_weight)(const ConvArgs&, void* dweight, const void* dy, const void* x);
  // indices within the plane; NaN wins, ties: first
  void (*max_pool2d)(const PoolArgs&, void* y, int64_t* indices, const void* x);
  void (*avg_pool2d)(const PoolArgs&, void* y, const void* x);
  void (*avg_pool2d_backward)(const PoolArgs&, void* dx, const void* dy);
  // van Herk; indices along the dim
  void (*window_max)(DType dtype, void* y, int64_t* indices, const void* x, Lines lines, int64_t window);
  // Rows contiguous. c64, c128: n numbers to n. f32, f64, on the CPU only: n real numbers to the first n / 2 + 1 entries
  // of their transform, and with `inverse` those back to n real numbers.
  void (*fft)(DType dtype, void* y, const void* x, int64_t rows, int64_t n, bool inverse, double scale);
  // false, and nothing is done, where fft and elementwise kernels have to be put together instead; batch, channels >= 1
  bool (*fft_convolution)(const FftConvolutionArgs&, void* out, const void* a, const void* b);
  // ---- attention
  // lse [batch, heads, nq]
  void (*attention)(const AttentionArgs&, void* out, void* lse, const void* q, const void* k, const void* v);
  void (*attention_backward)(const AttentionArgs&, const AttentionBackwardArrays&);
  void (*linear_attention)(const LinearAttentionArgs&, void* out, const void* q, const void* k, const void* v, const void* decay);
  // ---- recurrences
  void (*recurrence)(const RecurrenceArgs&, void* h, const void* a, const void* b, const void* start);
  // From dh: db_t = dh_t + conj(a_{t+1}) db_{t+1}, and da_t = db_t conj(h_{t-1}), for every step even if a is constant. Steps in the order of
  // the recurrence; start may be null.
  void (*recurrence_backward)(const RecurrenceArgs&, void* da, void* db, const void* dh, const void* a, const void* h, const void* start);
  void (*selective_scan)(const SelectiveScanArgs&, void* y, void* last, void* chunk_states, const SelectiveScanInputs& in);
  void (*selective_scan_backward)(const SelectiveScanArgs&, const SelectiveScanGradients& d, const void* dy, const void* dlast,
                                  const SelectiveScanInputs& in, const void* chunk_states);  // dlast may be null
  // ---- random numbers
  void (*uniform)(const Array& out, RandomKey key, double low, double high);  // contiguous; f32, f64
  void (*normal)(const Array& out, RandomKey key, double mean, double std);
  void (*random_bits)(const Array& out, RandomKey key, int64_t low, int64_t high);  // i64 in [low, high)
  // y = x * (u >= p) / (1 - p)
  void (*dropout)(DType dtype, void* y, const void* x, int64_t n, RandomKey key, double p);
  // ---- optimizers
  void (*adam)(const AdamArgs* params, int64_t count);
};
// clang-format on

// The kernels of a device: on the CPU the best level this machine runs, chosen once (INK_CPU_LEVEL overrides). On a
// CUDA device they return before the work is done; the calling thread's next launches go to that device.
const Kernels& kernels(Device device);

}  // namespace ink
