// Entries of indices, products, and the ops of neural networks.
#include "tests/fuzz/fuzz.h"

namespace ink::test {
namespace {

__int128 wide(const Arg& a) { return std::get<int64_t>(a.value); }
const Tensor& tensor_in(const Arg& a) { return std::get<Tensor>(a.value); }

// The places of a window; none where it does not fit.
std::optional<__int128> places(__int128 n, __int128 kernel, __int128 stride, __int128 padding, __int128 dilation) {
  __int128 reach = dilation * (kernel - 1) + 1, padded = n + 2 * padding;
  if (kernel < 1 || stride < 1 || dilation < 1 || padding < 0 || reach > padded) return {};
  return (padded - reach) / stride + 1;
}

template <bool transposed> std::optional<Sizes> convolved(const Args& a) {
  const Shape &x = tensor_in(a[0]).shape(), &w = tensor_in(a[1]).shape();
  Sizes s{x[0], transposed ? __int128(w[1]) * wide(a[6]) : w[0]};
  for (int d = 2; d < x.size(); ++d) {
    if (transposed) {
      s.push_back((x[d] - 1) * wide(a[3]) - 2 * wide(a[4]) + wide(a[5]) * (w[d] - 1) + 1 + wide(a[7]));
    } else {
      auto n = places(x[d], w[d], wide(a[3]), wide(a[4]), wide(a[5]));
      if (!n) return {};
      s.push_back(*n);
    }
  }
  return s;
}
std::optional<Sizes> pooled(const Args& a) {
  const Shape& x = tensor_in(a[0]).shape();
  Sizes s{x[0], x[1]};
  for (int d = 2; d < x.size(); ++d) {
    auto n = places(x[d], wide(a[1]), wide(a[2]) == 0 ? wide(a[1]) : wide(a[2]), wide(a[3]), wide(a[4]));
    if (!n) return {};
    s.push_back(*n);
  }
  return s;
}

using I = int64_t;

template <class F>
TensorList attention_with(F f, const Tensor& q, const Tensor& k, const Tensor& v, Causal causal, std::optional<I> left,
                          std::optional<I> right, std::optional<double> scale, double softcap, const Tensor& slopes,
                          const Tensor& mask, double dropout, Generator* generator, AttentionAlgorithm algorithm,
                          I block_q, I block_k) {
  AttentionOptions o{.causal = causal,
                     .left = left,
                     .right = right,
                     .scale = scale,
                     .softcap = softcap,
                     .slopes = slopes,
                     .mask = mask};
  o.dropout = dropout, o.generator = generator, o.algorithm = algorithm, o.block_q = block_q, o.block_k = block_k;
  return results(f(q, k, v, o));
}

}  // namespace

void add_indices(Entries& e) {
  add(
      e, "index", "{}.index({{{}}})", [](const Tensor& x, int64_t i) { return x.index({i}); }, X(ones({4, 3})), 1);
  add(
      e, "index", "{}.index({{Slice({}, {}, {})}})",
      [](const Tensor& x, int64_t a, int64_t b, int64_t c) { return x.index({Slice(a, b, c)}); }, X(ones({4, 3})), 1, 3,
      1);
  add(
      e, "index", "{}.index({{Ellipsis, None, {}}})",
      [](const Tensor& x, int64_t i) {
        return x.index({Ellipsis, None, i});
      },
      X(ones({4, 3})), 1);
  add(
      e, "index", "{}.index({{{}}})", [](const Tensor& x, const Tensor& i) { return x.index({i}); }, X(ones({4, 3})),
      X(ones({2}, i64)));
  add(
      e, "index", "{}.index({{{}, {}}})",
      [](const Tensor& x, const Tensor& i, const Tensor& j) {
        return x.index({i, j});
      },
      X(ones({4, 3})), X(ones({2}, i64)), X(ones({2}, i32)));
  add(
      e, "index", "{}.index({{{}, Slice({}, {}), {}}})",
      [](const Tensor& x, const Tensor& i, int64_t a, int64_t b, const Tensor& j) {
        return x.index({i, Slice(a, b), j});
      },
      X(ones({4, 3, 5})), X(ones({2}, i64)), 0, 2, X(ones({2}, i64)));
  add(
      e, "index", "{}.index({{{}}})", [](const Tensor& x, const Tensor& m) { return x.index({m}); }, X(ones({4, 3})),
      X(ones({4, 3}, boolean)));
  add(
      e, "index_put", "index_put({}, {{{}, {}}}, {}, {})",
      [](const Tensor& x, const Tensor& i, const Tensor& j, const Tensor& v, bool b) {
        return index_put(x, std::vector<Index>{i, j}, v, b);
      },
      X(ones({4, 3})), X(ones({2}, i64)), X(ones({2}, i64)), X(ones({2})), false);
  add(
      e, "index_put", "index_put({}, {{Slice({}, {}, {}), {}}}, {}, {})",
      [](const Tensor& x, int64_t a, int64_t b, int64_t c, const Tensor& j, const Tensor& v, bool acc) {
        return index_put(x, std::vector<Index>{Slice(a, b, c), j}, v, acc);
      },
      X(ones({4, 3})), 0, 2, 1, X(ones({2}, i64)), X(ones({2, 2})), true);
  OP(index_select, X(ones({4, 3})), 0, X(ones({2}, i64)));
  OP(index_select, X(transpose(ones({4, 3}), 0, 1)), 0, X(ones({2}, i32)));
  OP(index_add, X(ones({4, 3})), 0, X(ones({2}, i64)), X(ones({2, 3})));
  OP(index_add, X(ones({4, 3}, u8)), 0, X(ones({2}, i64)), X(ones({2, 3}, u8)));
  OP(gather, X(ones({4, 3})), 0, X(ones({2, 3}, i64)));
  OP(gather, X(ones({4, 3}, u8)), 1, X(ones({4, 1}, i64)));
  OP(scatter, X(ones({4, 3})), 0, X(ones({2, 3}, i64)), X(ones({2, 3})));
  OP(scatter, X(ones({4, 3}, u8)), 0, X(ones({2, 3}, i32)), X(ones({2, 3}, u8)));
  OP(scatter_add, X(ones({4, 3})), 0, X(ones({2, 3}, i64)), X(ones({2, 3})));
  OP(scatter_add, X(ones({4, 3}, i64)), 0, X(ones({2, 3}, i64)), X(ones({2, 3}, i64)));
  OP(take_along_dim, X(ones({4, 3})), X(ones({1, 3}, i64)), 0);
  OP(masked_select, X(ones({4, 3})), X(ones({3}, boolean)));
  OP(nonzero, X(ones({4, 3})));
  OP(embedding, X(ones({4, 3})), X(ones({2, 2}, i64)));
  OP(searchsorted, X(ones({5})), X(ones({2, 3})), false);
  OP(searchsorted, X(ones({2, 5})), X(ones({2, 3})), true);
}

void add_products(Entries& e) {
  OP(matmul, X(ones({2, 3})), X(ones({3, 4})));
  OP(matmul, X(ones({2, 2, 3})), X(ones({3})));
  OP(bmm, X(ones({2, 2, 3})), X(ones({2, 3, 4})));
  OP(addmm, X(ones({2, 4})), X(ones({2, 3})), X(ones({3, 4})), 1., 1.);
  OP(linear, X(ones({2, 3})), X(ones({4, 3})), X(ones({4})));
  OP(outer, X(ones({2})), X(ones({3})));
  OP(dot, X(ones({3})), X(ones({3})));
  add(
      e, "einsum", "einsum({}, {})", [](std::string_view s, const TensorList& l) { return einsum(s, l); }, "ij,jk->ik",
      std::vector{X(ones({2, 3})), X(ones({3, 4}))});
  add(
      e, "einsum", "einsum({}, {{{}, {}}})",
      [](std::string_view s, const Tensor& a, const Tensor& b) {
        return einsum(s, {a, b});
      },
      "...j,jk->...k", X(ones({2, 3})), X(ones({3, 4})));
  OP(solve, X(eye(3)), X(ones({3, 2})));
  OP(inverse, X(eye(3)));
  OP(det, X(eye(3)));
  OP(slogdet, X(eye(3)));
  OP(cholesky, X(eye(3)));
  OP(triangular_solve, X(eye(3)), X(ones({3, 2})), false);
  OP(qr, X(ones({3, 2})));
  OP(eigh, X(eye(3)));
  OP(matrix_exp, X(eye(3)));
}

void add_layers(Entries& e) {
#define CONV(op, flip, x, w, b)                                                                                        \
  add(                                                                                                                 \
      e, #op, #op "({}, {}, {}, {{.stride = {}, .padding = {}, .dilation = {}, .groups = {}, .output_padding = {}}})", \
      [](const Tensor& in, const Tensor& weight, const Tensor& bias, I stride, I padding, I dilation, I groups,        \
         I extra) {                                                                                                    \
        return op(                                                                                                     \
            in, weight, bias,                                                                                          \
            {.stride = stride, .padding = padding, .dilation = dilation, .groups = groups, .output_padding = extra});  \
      },                                                                                                               \
      x, w, b, 1, 1, 1, 1, 0)                                                                                          \
      .rule = convolved<flip>;
  CONV(conv1d, false, X(ones({2, 3, 8})), X(ones({4, 3, 3})), X(ones({4})))
  CONV(conv2d, false, X(ones({2, 3, 5, 6})), X(ones({4, 3, 3, 2})), X(ones({4})))
  CONV(conv2d, false, X(ones({2, 3, 5, 6})), X(ones({4, 3, 3, 2})), X(Tensor()))
  CONV(conv_transpose1d, true, X(ones({2, 3, 8})), X(ones({3, 4, 3})), X(ones({4})))
  CONV(conv_transpose2d, true, X(ones({2, 3, 5, 6})), X(ones({3, 4, 3, 2})), X(ones({4})))
#define POOL(op, x)                                                                 \
  add(                                                                              \
      e, #op, #op "({}, {{{}, {}, {}, {}, {}}})",                                   \
      [](const Tensor& in, I kernel, I stride, I padding, I dilation, bool count) { \
        return op(in, {kernel, stride, padding, dilation, count});                  \
      },                                                                            \
      x, 3, 2, 1, 1, true)                                                          \
      .rule = pooled;
  POOL(max_pool1d, X(ones({2, 3, 8})))
  POOL(max_pool2d, X(ones({2, 3, 5, 6})))
  POOL(avg_pool1d, X(ones({2, 3, 8})))
  POOL(avg_pool2d, X(ones({2, 3, 5, 6})))
  OP(upsample_nearest2d, X(ones({1, 2, 3, 4})), 2);
  OP(layer_norm, X(ones({2, 4})), X(ones({4})), X(ones({4})), 1e-5);
  OP(rms_norm, X(ones({2, 4})), X(ones({4})), 1e-6);
  OP(group_norm, X(ones({2, 4, 3})), 2, X(ones({4})), X(ones({4})), 1e-5);
  OP(dropout, X(ones({2, 4})), 0.5, true, Source{});
  add(
      e, "cross_entropy", "cross_entropy({}, {}, {{{}, {}, {}}})",
      [](const Tensor& x, const Tensor& t, Reduction r, double s, I ignore) {
        return cross_entropy(x, t, {r, s, ignore});
      },
      X(ones({2, 5})), X(ones({2}, i64)), Reduction::mean, 0.1, -100);
  OP(nll_loss, X(ones({2, 5})), X(ones({2}, i64)), Reduction::mean);
  OP(mse_loss, X(ones({2, 5})), X(ones({2, 5})), Reduction::mean);
  OP(l1_loss, X(ones({2, 5})), X(ones({2, 5})), Reduction::mean);
  OP(huber_loss, X(ones({2, 5})), X(ones({2, 5})), 1., Reduction::mean);
  OP(binary_cross_entropy, X(ones({2, 5})), X(ones({2, 5})), Reduction::mean);
  OP(binary_cross_entropy_with_logits, X(ones({2, 5})), X(ones({2, 5})), Reduction::mean);
  OP(kl_div, X(ones({2, 5})), X(full({2, 5}, 0.2)), Reduction::mean);
  OP(fft, X(ones({2, 6})), 6, -1);
  OP(ifft, X(ones({2, 6}, c64)), 6, -1);
  OP(rfft, X(ones({2, 6})), 6, -1);
  OP(irfft, X(ones({2, 4}, c64)), 6, -1);
  OP(causal_convolution, X(ones({2, 3, 6})), X(ones({3, 6})));
}

void add_attention(Entries& e) {
  const char* options =
      "{}, {}, {}, {{.causal = {}, .left = {}, .right = {}, .scale = {}, .softcap = {}, .slopes = {}, .mask = {}, "
      ".dropout = {}, "
      ".generator = {}, .algorithm = {}, .block_q = {}, .block_k = {}}}";
  static const std::string plain = std::string("scaled_dot_product_attention(") + options + ")",
                           lse = std::string("attention_with_lse(") + options + ")";
  for (auto algorithm : {AttentionAlgorithm::flash, AttentionAlgorithm::naive})
    add(
        e, "scaled_dot_product_attention", plain.c_str(),
        [](const auto&... a) {
          return attention_with([](const auto&... b) { return scaled_dot_product_attention(b...); }, a...);
        },
        X(ones({2, 4, 5, 3})), X(ones({2, 2, 6, 3})), X(ones({2, 2, 6, 4})), Causal::no, std::optional<I>(),
        std::optional<I>(), std::optional<double>(), 0., X(Tensor()), X(Tensor()), 0., Source{}, algorithm, 0, 0);
  add(
      e, "attention_with_lse", lse.c_str(),
      [](const auto&... a) { return attention_with([](const auto&... b) { return attention_with_lse(b...); }, a...); },
      X(ones({2, 4, 5, 3})), X(ones({2, 2, 6, 3})), X(ones({2, 2, 6, 4})), Causal::bottom_right, std::optional<I>(2),
      std::optional<I>(1), std::optional<double>(0.5), 1., X(ones({4})), X(ones({5, 6}, boolean)), 0.5, Source{},
      AttentionAlgorithm::flash, 2, 2);
  add(
      e, "linear_recurrence", "linear_recurrence({}, {}, {}, {{.start = {}, .reverse = {}}})",
      [](const Tensor& a, const Tensor& b, I dim, const Tensor& start, bool reverse) {
        return linear_recurrence(a, b, dim, {.start = start, .reverse = reverse});
      },
      X(ones({2, 5, 3})), X(ones({5, 3})), 1, X(ones({2, 3})), true);
  OP(selective_scan, X(ones({2, 5, 3})), X(ones({2, 5, 3})), X(full({3, 4}, -1.)), X(ones({2, 5, 4})),
     X(ones({2, 5, 4})), X(ones({2, 3, 4})));
  add(
      e, "visible_keys", "visible_keys({}, {}, {{.causal = {}, .left = {}, .right = {}, .mask = {}}})",
      [](const Tensor& q, const Tensor& k, Causal causal, std::optional<I> left, std::optional<I> right,
         const Tensor& mask) {
        return visible_keys(q, k, {.causal = causal, .left = left, .right = right, .mask = mask});
      },
      X(ones({2, 4, 5, 3})), X(ones({2, 2, 6, 3})), Causal::no, std::optional<I>(2), std::optional<I>(),
      X(ones({5, 6}, boolean)));
  add(
      e, "attention_with_lse", "attention_with_lse({}, {}, {}, {{.blocks = {{{}, {}, {}, {}}}}})",
      [](const Tensor& q, const Tensor& k, const Tensor& v, I nq, I nk, const Tensor& tiles, const Tensor& bits) {
        AttentionOptions o;
        o.blocks = {nq, nk, tiles, bits};
        return attention_with_lse(q, k, v, o);
      },
      X(ones({1, 1, 70, 3})), X(ones({1, 1, 70, 3})), X(ones({1, 1, 70, 4})), 70, 70, X(ones({2, 2}, i32)),
      X(ones({2, 64, 64}, boolean)));
  add(
      e, "BlockMask::dense", "(BlockMask{{{}, {}, {}, {}}}).dense()",
      [](I nq, I nk, const Tensor& tiles, const Tensor& bits) {
        return BlockMask{nq, nk, tiles, bits}.dense();
      },
      70, 70, X(ones({2, 2}, i32)), X(ones({2, 64, 64}, boolean)));
  OP(merge_attention, X(ones({2, 4, 5, 3})), X(ones({2, 4, 5})), X(ones({2, 4, 5, 3})), X(ones({2, 4, 5})));
  OP(causal_linear_attention, X(ones({2, 5, 3})), X(ones({2, 5, 3})), X(ones({2, 5, 4})), X(zeros({2, 5})), false);
}

}  // namespace ink::test
