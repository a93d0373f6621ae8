// What calls cost, as the rows of ops count it: floating point operations against counts by hand, bytes against the
// sizes of operands.
#include <algorithm>
#include <string>

#include "autograd/attention.h"
#include "autograd/observe/profile.h"
#include "autograd/ops.h"
#include "nn/attention/mask.h"
#include "tests/catch.h"

using namespace ink;

namespace {

template <class F> std::vector<ProfileRow> profiled(F f) {
  Profile profile;
  f();
  return profile.rows();
}
// The row of one op in what f runs.
template <class F> ProfileRow row_of(const std::string& op, F f) {
  for (const ProfileRow& row : profiled(f))
    if (row.op == op) return row;
  FAIL("no call of " << op);
  return {};
}
template <class F> double flops_of(const std::string& op, F f) { return row_of(op, f).flops; }
template <class F> double all_flops(F f) {
  double sum = 0;
  for (const ProfileRow& row : profiled(f)) sum += row.flops;
  return sum;
}

}  // namespace

TEST_CASE("elementwise ops count one operation an element, moves none", "[cost]") {
  Tensor x = ones({3, 4}), y = ones({4});
  CHECK(flops_of("exp", [&] { exp(x); }) == 12);
  CHECK(flops_of("add", [&] { x + y; }) == 12);  // of the broadcast result
  CHECK(flops_of("mul", [&] { mul(y, unsqueeze(y, 1)); }) == 16);
  CHECK(all_flops([&] { gelu(x), relu(x); }) == 24);
  using Move = void (*)(const Tensor&);
  const Move moves[] = {[](const Tensor& x) { x.t(); },
                        [](const Tensor& x) { x.t().reshape({12}); },
                        [](const Tensor& x) {
                          stack({x, x});
                        },
                        [](const Tensor& x) { x.to(f64); },
                        [](const Tensor& x) { clone(x); },
                        [](const Tensor& x) {
                          pad(x, Shape{1, 1});
                        },
                        [](const Tensor& x) { index_select(x, 0, arange(2)); },
                        [](const Tensor& x) { flip(x, 0); },
                        [](const Tensor& x) { where(x > 0, x, x); }};
  for (Move move : moves) CHECK(all_flops([&] { move(x); }) == 0);
}

TEST_CASE("products", "[cost]") {
  Tensor a = ones({3, 4}), b = ones({4, 5}), c = ones({5});
  CHECK(flops_of("matmul", [&] { matmul(a, b); }) == 120);  // 3 5 results, each 4 multiplications and additions: 15 * 8
  CHECK(flops_of("matmul", [&] { matmul(ones({7, 3, 4}), b); }) == 840);  // seven of them
  CHECK(flops_of("matmul", [&] { dot(c, c); }) == 10);                    // 5 multiplications and additions
  // Of complex numbers each is 4 multiplications and 4 additions: 60 * 8
  CHECK(flops_of("matmul", [&] { matmul(to(a, c64), to(b, c64)); }) == 480);
  CHECK(flops_of("linear", [&] { linear(a, ones({5, 4})); }) == 120);
  CHECK(flops_of("linear", [&] { linear(a, ones({5, 4}), c); }) == 135);  // and one addition a result
  CHECK(flops_of("addmm", [&] { addmm(c, a, b); }) == 135);               // c is added
  CHECK(flops_of("addmm", [&] { addmm(c, a, b, 2, 3); }) == 165);         // and two factors a result
  CHECK(flops_of("addmm", [&] { addmm(c, a, b, 0, 1); }) == 120);         // c does not matter
  CHECK(all_flops([&] { einsum("ij,jk->ik", {a, b}); }) == 120);
}

TEST_CASE("convolutions of all kinds, and their gradients", "[cost]") {
  Tensor x = ones({2, 4, 5, 6}), w = ones({8, 4, 3, 3}), bias = ones({8});
  // 2 8 (5 - 2) (6 - 2) = 192 results, each of 4 3 3 = 36 places: 192 * 36 * 2
  CHECK(flops_of("conv2d", [&] { conv2d(x, w); }) == 13824);
  CHECK(flops_of("conv2d", [&] { conv2d(x, w, bias); }) == 14016);  // and 192 additions
  // In two groups each result sees half the channels: 192 * 18 * 2
  CHECK(flops_of("conv2d", [&] { conv2d(x, ones({8, 2, 3, 3}), {}, {.groups = 2}); }) == 6912);
  // Stride 2 with padding 1: 2 8 3 3 = 144 results of 36 places
  CHECK(flops_of("conv2d", [&] { conv2d(x, w, {}, {.stride = 2, .padding = 1}); }) == 10368);
  // 2 3 6 = 36 results of 4 3 = 12 places: 36 * 12 * 2
  CHECK(flops_of("conv2d", [&] { conv1d(ones({2, 4, 8}), ones({3, 4, 3})); }) == 864);
  // Transposed, each of 2 4 5 6 = 240 inputs meets 8 3 3 = 72 weights: 240 * 72 * 2; the bias is an op of its own, one
  // addition for each of 2 8 7 8 = 896 results
  auto transposed = [&] { conv_transpose2d(x, ones({4, 8, 3, 3}), bias); };
  CHECK(flops_of("conv2d_backward_input", transposed) == 34560);
  CHECK(flops_of("add", transposed) == 896);
  // Each of 2 4 8 = 64 inputs meets 3 2 = 6 weights, 64 * 6 * 2; in two groups 2 2 = 4, 64 * 4 * 2
  CHECK(flops_of("conv2d_backward_input", [&] { conv_transpose1d(ones({2, 4, 8}), ones({4, 3, 2})); }) == 768);
  CHECK(flops_of("conv2d_backward_input", [&] {
          conv_transpose1d(ones({2, 4, 8}), ones({4, 2, 2}), {}, {.groups = 2});
        }) == 512);
  // The gradients to input and weight sum over the same triples as the convolution.
  Tensor xg = clone(x).requires_grad_(), wg = clone(w).requires_grad_();
  Tensor y = sum(conv2d(xg, wg));
  auto backward = [&] { y.backward(); };
  auto rows = profiled(backward);
  for (const char* op : {"conv2d_backward_input", "conv2d_backward_weight"}) {
    auto row = std::find_if(rows.begin(), rows.end(), [&](const ProfileRow& r) { return r.op == op; });
    REQUIRE(row != rows.end());
    CHECK(row->flops == 13824);
  }
}

TEST_CASE("attention counts the pairs that are seen", "[cost]") {
  Tensor q = ones({2, 3, 70, 8}), k = ones({2, 3, 70, 8}), v = ones({2, 3, 70, 4});
  auto flops = [&](const AttentionOptions& options) {
    return flops_of("scaled_dot_product_attention", [&] { scaled_dot_product_attention(q, k, v, options); });
  };
  // 2 3 matrices of 70 70 = 4900 pairs, each 8 multiply-adds for q . k and 4 for p v: 6 * 4900 * 12 * 2
  CHECK(flops({}) == 705600);
  // The lower triangle with its diagonal: 70 71 / 2 = 2485 pairs
  CHECK(flops({.causal = Causal::top_left}) == 357840);
  // Of a window, itself and the one before: 2 70 - 1 = 139 pairs
  CHECK(flops({.causal = Causal::top_left, .left = 1}) == 20016);
  // A dense mask hides what has been computed.
  CHECK(flops({.mask = eye(70, boolean)}) == 705600);
  // A block mask of 64 x 64 tiles, of which the first and the last see something: 64 64 + 6 6 = 4132 pairs
  AttentionMask halves([](int64_t i, int64_t, int64_t nk, uint8_t* row) {
    for (int64_t j = 0; j < nk; ++j) row[j] = (i >= 64) == (j >= 64);
  });
  CHECK(flops({.blocks = halves.blocks(70, 70)}) == 595008);
  // Grouped queries: as many pairs as query heads.
  CHECK(flops_of("scaled_dot_product_attention", [&] {
          scaled_dot_product_attention(q, ones({2, 1, 70, 8}), ones({2, 1, 70, 4}));
        }) == 705600);
  // Linear attention: for each of 6 70 = 420 tokens 8 4 = 32 multiply-adds into the state and as many out of it: 420 *
  // 64 * 2
  CHECK(flops_of("causal_linear_attention", [&] { causal_linear_attention(q, k, v); }) == 53760);
}

TEST_CASE("rows, reductions and scans", "[cost]") {
  Tensor x = ones({4, 10}), w = ones({10});
  CHECK(flops_of("softmax", [&] { softmax(x, -1); }) == 200);  // 40 maxima, differences, exps, sums, quotients
  CHECK(flops_of("log_softmax", [&] { log_softmax(x, 0); }) == 200);
  Tensor scores = ones({2, 4, 4});
  CHECK(flops_of("causal_softmax", [&] { causal_softmax(scores); }) == 100);  // 2 triangles of 10 scores, times 5
  // 40 sums, differences, squares, sums, multiplications with 1 / sigma; 40 weights and biases
  CHECK(flops_of("layer_norm", [&] { layer_norm(x); }) == 200);
  CHECK(flops_of("layer_norm", [&] { layer_norm(x, w, w); }) == 280);
  CHECK(flops_of("rms_norm", [&] { rms_norm(x, w); }) == 160);  // 40 squares, sums, multiplications, weights
  CHECK(flops_of("group_norm", [&] { group_norm(ones({2, 4, 5}), 2); }) == 200);
  // 40 maxima, differences, exps, sums; smoothing sums the logits as well
  CHECK(flops_of("cross_entropy", [&] { cross_entropy(x, zeros({4}, i64)); }) == 160);
  CHECK(flops_of("cross_entropy", [&] { cross_entropy(x, zeros({4}, i64), {.label_smoothing = 0.1}); }) == 200);
  CHECK(all_flops([&] { mse_loss(x, x); }) == 121);  // 40 differences, squares, sums; one quotient
  CHECK(flops_of("sum", [&] { sum(x, 1); }) == 40);
  CHECK(all_flops([&] { mean(x, 1); }) == 44);             // and a quotient for each of 4 rows
  CHECK(flops_of("var_mean", [&] { var(x, 0); }) == 160);  // 40 sums, differences, squares, sums
  CHECK(flops_of("norm", [&] { norm(x, 1); }) == 80);      // 40 squares and sums
  CHECK(flops_of("max", [&] { max_with_indices(x, 1); }) == 40);
  CHECK(flops_of("cumsum", [&] { cumsum(x, 1); }) == 40);
  CHECK(flops_of("cumprod", [&] { cumprod(x, 0); }) == 40);
  CHECK(flops_of("cummax", [&] { cummax(x, 0); }) == 40);
  CHECK(flops_of("logcumsumexp", [&] { logcumsumexp(x, 1); }) == 200);  // 40 maxima, differences, exps, log1ps, sums
  // 3 comparisons for each of 40 elements (van Herk 1992)
  CHECK(flops_of("sliding_window_max", [&] { sliding_window_max(x, 3); }) == 120);
  CHECK(flops_of("max_pool2d", [&] { max_pool2d(ones({1, 2, 4, 6}), {.kernel = 2}); }) == 48);  // 2 2 3 windows of 4
  CHECK(flops_of("dropout", [&] { dropout(x, 0.5); }) == 40);
  CHECK(flops_of("index_add", [&] { index_add(x, 0, tensor({1, 1}, i64), ones({2, 10})); }) == 20);
}

TEST_CASE("transforms and factorisations", "[cost]") {
  CHECK(flops_of("fft", [&] { fft(ones({3, 8})); }) == 360);          // 3 lines of 5 * 8 * log2(8) = 5 * 8 * 3
  CHECK(flops_of("fft", [&] { ifft(ones({4, 6}), -1, 0); }) == 240);  // 6 lines of 5 * 4 * 2
  CHECK(flops_of("rfft", [&] { rfft(ones({2, 16})); }) == 320);       // 2 lines of half of 5 * 16 * 4
  CHECK(flops_of("irfft", [&] { irfft(ones({2, 9}, c64)); }) == 320);
  // 2 lines there, 2 back and one kernel of 5 * 16 * 4, and 2 products of 16 complex numbers
  CHECK(flops_of("fft_convolution", [&] { causal_convolution(ones({2, 16}), ones({16})); }) == 1792);
  Tensor a = eye(6, f64), b = ones({6, 2}, f64);
  CHECK(flops_of("cholesky", [&] { cholesky(a); }) == 72);                           // 216 / 3
  CHECK(flops_of("triangular_solve", [&] { triangular_solve(a, b, true); }) == 72);  // 36 for each of 2 columns
  CHECK(flops_of("solve", [&] { solve(a, b); }) == 288);         // 2 / 3 216 for LU, and two triangles: 144 + 2 * 72
  CHECK(flops_of("det", [&] { det(stack({a, a})); }) == 288);    // two times LU
  CHECK(flops_of("qr", [&] { qr(ones({4, 3}, f64)); }) == 108);  // 2 (2 4 9 - 2 / 3 27)
}

TEST_CASE("bytes: operands once, results once, views nothing", "[cost]") {
  Tensor x = ones({3, 4}), y = ones({4});
  ProfileRow sum = row_of("add", [&] { x + y; });
  CHECK(sum.bytes_read == 64);  // 12 + 4 numbers
  CHECK(sum.bytes == 48);
  ProfileRow view = row_of("permute", [&] { x.t(); });
  CHECK(view.calls == 1);
  CHECK(view.bytes_read + view.bytes == 0);
  ProfileRow pair = row_of("sort", [&] { sort(x); });
  CHECK(pair.bytes == 48 + 96);  // values and i64 positions
  Profile profile;
  x + y;
  CHECK(profile.table().find("GFLOP/s") != std::string::npos);
}
