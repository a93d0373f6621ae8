// Attention on the CUDA device, against the formula with all its scores in f64 on the CPU.
#include <fmt/format.h>

#include <limits>

#include "autograd/attention.h"
#include "nn/attention/mask.h"
#include "tensor/capture.h"
#include "tensor/cuda.h"
#include "tensor/math/philox.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#if INK_CUDA_SIM
#include "tensor/cuda/sim/block.h"
#endif

using namespace ink;
using namespace ink::test;

namespace {

void need_device() {
  if (!cuda_is_available()) skip_program(("no CUDA device: " + cuda_status()).c_str());
}

struct Sizes {
  int64_t batch, heads, kv_heads, nq, nk, d, dv;
};
struct Operands {
  Tensor q, k, v, dout, dlse;
  Operands to(DType t, Device device) const {
    auto move = [&](const Tensor& x) { return ink::to(x, t).to(device); };
    return {move(q), move(k), move(v), move(dout), ink::to(dlse, t == f64 ? f64 : f32).to(device)};
  }
};
// Queries lie in memory as [batch, nq, heads, d], keys and values with a gap behind each row.
Operands operands(const Sizes& s, unsigned seed) {
  const int64_t b = s.batch, h = s.heads, g = s.kv_heads;
  return {transpose(normal({b, s.nq, h, s.d}, seed), 1, 2), slice(normal({b, g, s.nk, s.d + 8}, seed + 1), 3, 0, s.d),
          slice(normal({b, g, s.nk, s.dv + 8}, seed + 2), 3, 8, s.dv + 8), normal({b, h, s.nq, s.dv}, seed + 3),
          normal({b, h, s.nq}, seed + 4)};
}
AttentionOptions on(Device device, AttentionOptions o) {
  for (Tensor* t : {&o.slopes, &o.mask})
    if (t->defined()) *t = t->to(device);
  if (o.blocks.defined()) o.blocks = o.blocks.to(device);
  return o;
}

constexpr uint64_t kSeed = 31;  // of dropout

// bool [batch, heads, nq, nk]
Tensor seen_by(const Sizes& s, const AttentionOptions& o) {
  const int64_t diagonal = o.causal == Causal::top_left ? 0 : s.nk - s.nq;
  auto distance = [&](int64_t i, int64_t j) { return j - i - diagonal; };
  Tensor seen = masks::rule([&](int64_t i, int64_t j) {
                  return distance(i, j) <= (o.causal == Causal::no ? o.right.value_or(s.nk + s.nq) : 0) &&
                         -distance(i, j) <= o.left.value_or(s.nk + s.nq);
                }).dense(s.nq, s.nk);
  if (o.mask.defined()) seen = logical_and(seen, o.mask);
  if (o.blocks.defined()) seen = logical_and(seen, o.blocks.dense());
  return logical_and(seen, full({s.batch, s.heads, 1, 1}, 1, boolean));
}
// Attention as it is written, every step rounded to the dtype of the operands.
TensorList formula(const Operands& x, const Sizes& s, const AttentionOptions& o, const TensorList& in) {
  const DType t = x.q.dtype();
  const int64_t diagonal = o.causal == Causal::top_left ? 0 : s.nk - s.nq, group = s.heads / s.kv_heads;
  Tensor keys = repeat_interleave(in[1], group, 1), values = repeat_interleave(in[2], group, 1);
  Tensor score = matmul(in[0], transpose(keys, -2, -1)) * o.scale.value_or(1 / std::sqrt(double(s.d)));
  if (o.softcap > 0) score = tanh(score / o.softcap) * o.softcap;
  if (o.slopes.defined()) {
    Tensor i = unsqueeze(arange(0, s.nq, 1, f64), 1), j = unsqueeze(arange(0, s.nk, 1, f64), 0);
    score = score - to(reshape(o.slopes, {-1, 1, 1}) * abs(j - i - double(diagonal)), t);
  }
  score = masked_fill(score, logical_not(seen_by(s, o)), -std::numeric_limits<double>::infinity());
  Tensor lse = logsumexp(score, -1), p = exp(score - unsqueeze(where(isinf(lse), zeros_like(lse), lse), -1));
  if (o.dropout > 0) {
    std::vector<double> keep(size_t(s.batch * s.heads * s.nq * s.nk));
    for (size_t at = 0; at < keep.size(); ++at)
      keep[at] = uniform_from(philox_u32(kSeed, at)) >= float(o.dropout) ? 1 / (1 - o.dropout) : 0;
    p = p * to(from_data(std::span<const double>(keep), p.shape()), t);
  }
  return {matmul(p, values), to(lse, x.dlse.dtype())};
}

// {out, lse, dq, dk, dv} on the CPU and in f64: of the op, or of the formula.
TensorList results(const Operands& x, const Sizes& s, AttentionOptions o, bool by_formula, bool with_lse = true) {
  Generator generator(kSeed);
  o.generator = &generator;
  TensorList in{x.q.detach(), x.k.detach(), x.v.detach()}, ys, gs{x.dout, x.dlse};
  for (Tensor& t : in) t.requires_grad_();
  if (by_formula) {
    ys = formula(x, s, o, in);
  } else {
    auto [out, lse] = attention_with_lse(in[0], in[1], in[2], on(x.q.device(), o));
    ys = {out, lse};
  }
  const size_t count = with_lse ? 2 : 1;
  TensorList gradients = grad(std::span<const Tensor>(ys.data(), count), in, std::span<const Tensor>(gs.data(), count));
  TensorList all{ys[0].detach(), ys[1].detach()};
  for (const Tensor& g : gradients) all.push_back(g);
  for (Tensor& t : all) t = to(t.to(Device::cpu()), f64);
  return all;
}

const char* const kNames[] = {"out", "lse", "dq", "dk", "dv"};

// What is wrong with the device's results in dtype t: for f32 and f64 against a bound, for halves against what the
// plain formula makes of the same numbers in the same precision.
std::string wrong_on_device(const Sizes& s, const AttentionOptions& o, DType t, bool with_lse = true) {
  DefaultDevice cpu(Device::cpu());
  const Operands rounded = operands(s, 1).to(t, Device::cpu());
  const TensorList expected = results(rounded.to(f64, Device::cpu()), s, o, true, with_lse);
  const TensorList plain = is_half(t) ? results(rounded, s, o, true, with_lse) : TensorList();
  const TensorList got = results(rounded.to(t, Device::cuda()), s, o, false, with_lse);
  std::string wrong;
  for (size_t i = 0; i < got.size(); ++i) {
    double bound = t == f64 ? 2e-13 : 1e-5;
    if (is_half(t) && i != 1)
      bound = (i < 2 ? 2 : 3) * difference(plain[i], expected[i]) + (t == f16 ? 0x1p-13 : 0x1p-10);
    if (const double error = difference(got[i], expected[i]); !(error <= bound))
      wrong += fmt::format("{} off by {}, may be {}; ", kNames[i], error, bound);
  }
  return wrong;
}

const Sizes kSizes[] = {
    {1, 1, 1, 1, 1, 1, 1},       {2, 2, 1, 2, 3, 8, 8},      {1, 2, 2, 31, 33, 32, 40}, {1, 1, 1, 97, 97, 64, 64},
    {1, 2, 1, 32, 97, 40, 16},   {2, 1, 1, 97, 33, 16, 128}, {1, 1, 1, 33, 31, 111, 8}, {1, 1, 1, 65, 70, 128, 111},
    {1, 1, 1, 20, 66, 256, 256}, {1, 4, 2, 1, 97, 64, 32},   {3, 2, 2, 33, 2, 48, 64},  {1, 1, 1, 130, 67, 24, 72},
};

struct Setting {
  const char* name;
  AttentionOptions (*options)(const Sizes&);
};
AttentionMask checks() {
  return masks::rule([](int64_t i, int64_t j) { return (i / 64 + j / 64) % 2 == 0 && (i * 7 + j * 3) % 5 != 0; });
}
const Setting kSettings[] = {
    {"full", [](const Sizes&) { return AttentionOptions{}; }},
    {"causal", [](const Sizes&) { return AttentionOptions{.causal = Causal::top_left}; }},
    {"causal from the end",
     [](const Sizes&) { return AttentionOptions{.causal = Causal::bottom_right, .softcap = 1.5}; }},
    {"window", [](const Sizes&) { return AttentionOptions{.left = 20, .right = 3}; }},
    {"ALiBi",
     [](const Sizes& s) {
       return AttentionOptions{.causal = Causal::bottom_right, .slopes = exp((arange(0, s.heads, 1, f64) + 2) * -0.7)};
     }},
    {"soft cap", [](const Sizes&) { return AttentionOptions{.scale = 0.4, .softcap = 2}; }},
    {"dropout", [](const Sizes&) { return AttentionOptions{.causal = Causal::top_left, .dropout = 0.3}; }},
    {"mask of keys",
     [](const Sizes& s) {
       return AttentionOptions{.mask = normal({s.batch, 1, 1, s.nk}, 50) > -0.5};
     }},
    {"mask",
     [](const Sizes& s) {
       return AttentionOptions{.mask = normal({1, s.heads, s.nq, s.nk}, 51) > 0.3};
     }},
    {"mask of queries, negative scale",
     [](const Sizes& s) {
       return AttentionOptions{.scale = -0.2, .mask = normal({s.nq, 1}, 52) > 0};
     }},
    {"tiles", [](const Sizes& s) { return AttentionOptions{.blocks = checks().blocks(s.nq, s.nk)}; }},
    {"all of it",
     [](const Sizes& s) {
       return AttentionOptions{.causal = Causal::bottom_right,
                               .left = 70,
                               .softcap = 3,
                               .slopes = full({s.heads}, 0.05, f64),
                               .mask = normal({s.batch, 1, s.nq, s.nk}, 53) > -1,
                               .blocks = checks().blocks(s.nq, s.nk),
                               .dropout = 0.1};
     }},
};

}  // namespace

TEST_CASE("attention on the device is the formula, forward and backward, in every dtype", "[cuda][attention]") {
  need_device();
  const DType dtypes[] = {f32, f64, f16, bf16};
  DefaultDevice cpu(Device::cpu());
  for (size_t s = 0; s < std::size(kSizes); ++s)
    for (size_t o = 0; o < std::size(kSettings); ++o) {  // each pair once, each size and each setting in each dtype
      const DType t = dtypes[(s + o + s / 4) % 4];
      const Sizes& z = kSizes[s];
      INFO(kSettings[o].name << ", " << name_of(t) << ", batch " << z.batch << ", heads " << z.heads << "/"
                             << z.kv_heads << ", n " << z.nq << " and " << z.nk << ", d " << z.d << " and " << z.dv);
      CHECK(wrong_on_device(z, kSettings[o].options(z), t, (s + o) % 3 != 0) == "");
    }
}

TEST_CASE("hidden keys may hold NaN and infinities, and a query that sees none gets 0", "[cuda][attention]") {
  need_device();
  DefaultDevice cpu(Device::cpu());
  const double inf = std::numeric_limits<double>::infinity();
  for (const DType t : {f32, f64, f16, bf16})
    for (const int64_t d : {8, 48}) {
      INFO(name_of(t) << ", d " << d);
      const Sizes s{1, 2, 1, 70, 80, d, d};
      const AttentionOptions o{
          .causal = Causal::top_left, .left = 40, .softcap = d == 48 ? 5. : 0., .mask = arange(0, 80, 1, f64) > 2.5};
      const Operands clean = operands(s, 5).to(t, Device::cuda());
      Operands spoilt = clean;
      auto spoil = [&](const Tensor& x, int64_t row, double value) {
        const Index where[] = {Slice(), Slice(), row, Slice(1, 3)};
        return index_put(contiguous(x), where, full({2}, value, {t, Device::cuda()}));
      };
      // No query sees key 1, keys 20 and 69 only some do.
      for (const auto& [row, value] : {std::pair(1, inf), std::pair(20, std::nan("")), std::pair(69, -inf)})
        spoilt.k = spoil(spoilt.k, row, value), spoilt.v = spoil(spoilt.v, row, -value);
      const TensorList want = results(clean, s, o, false), got = results(spoilt, s, o, false);
      auto rows = [](const Tensor& x, int64_t from, int64_t to) { return slice(x, 2, from, to); };
      // Halves are computed another way where hidden keys are not finite.
      const double bound = t == f16 ? 2e-3 : t == bf16 ? 2e-2 : 0;
      for (size_t i = 0; i < 3; ++i) {
        INFO(kNames[i]);
        CHECK(difference(rows(got[i], 3, 20), rows(want[i], 3, 20)) <= bound);
        CHECK(difference(rows(got[i], 61, 69), rows(want[i], 61, 69)) <= bound);
      }
      CHECK(equal(slice(got[3], 2, 1, 2), zeros({1, 1, 1, d})));  // the key that nobody sees
      CHECK(equal(slice(got[4], 2, 1, 2), zeros({1, 1, 1, d})));
      CHECK(any(isnan(rows(got[0], 20, 61))).item() != 0);  // who sees a NaN shows it
      for (const TensorList* list : {&want, &got}) {
        CHECK(equal(rows((*list)[0], 0, 3), zeros({1, 2, 3, d})));
        CHECK(equal(rows((*list)[1], 0, 3), full({1, 2, 3}, -inf)));
        CHECK(equal(rows((*list)[2], 0, 3), zeros({1, 2, 3, d})));
      }
    }
}

TEST_CASE("attention has the same bits every time", "[cuda][attention]") {
  need_device();
  DefaultDevice cpu(Device::cpu());
  const Sizes s{1, 2, 1, 67, 66, 24, 40};
  for (const DType t : {f32, f64, f16, bf16})
    for (const size_t setting : {1, 11}) {
      INFO(name_of(t) << ", " << kSettings[setting].name);
      const Operands x = operands(s, 7).to(t, Device::cuda());
      const AttentionOptions o = kSettings[setting].options(s);
      const TensorList first = results(x, s, o, false);
#if INK_CUDA_SIM
      const sim::Options before = sim::options();
#endif
      for (uint64_t seed = 1; seed <= 3; ++seed) {
#if INK_CUDA_SIM
        sim::set_options({.seed = seed, .poison = uint8_t(seed % 2 ? 0x55 : 0xff)});
#endif
        const TensorList again = results(x, s, o, false);
        for (size_t i = 0; i < again.size(); ++i) {
          INFO(kNames[i] << ", seed " << seed);
          CHECK(equal(again[i], first[i]));
        }
      }
#if INK_CUDA_SIM
      sim::set_options(before);
#endif
    }
}

TEST_CASE("replays of captured attention go on in the stream of dropout, and its gradients follow",
          "[cuda][attention][graph]") {
  need_device();
  const Sizes s{1, 2, 1, 20, 18, 16, 16};
  for (const DType t : {f32, f16}) {
    const Operands x = operands(s, 9).to(t, Device::cuda());
    TensorList in{x.q.detach(), x.k.detach(), x.v.detach()}, got;
    for (Tensor& y : in) y.requires_grad_();
    auto step = [&] {
      Tensor y = scaled_dot_product_attention(in[0], in[1], in[2], {.dropout = 0.4});
      got = grad(std::span<const Tensor>(&y, 1), in, std::span<const Tensor>(&x.dout, 1));
      got.push_back(y.detach());
    };
    std::vector<TensorList> expected;
    manual_seed(4);
    for (int i = 0; i < 3; ++i) {
      step();
      expected.push_back(got);
    }
    CHECK_FALSE(equal(expected[0][3].to(Device::cpu()), expected[1][3].to(Device::cpu())));
    manual_seed(4);
    step();
    CudaGraph graph(step);
    for (size_t i = 1; i < 3; ++i) {
      graph.replay();
      for (size_t k = 0; k < 4; ++k) {
        INFO(name_of(t) << ", step " << i << ", result " << k);
        CHECK(equal(got[k].to(Device::cpu()), expected[i][k].to(Device::cpu())));
      }
    }
  }
}

TEST_CASE("linear attention on the device is the sum it stands for", "[cuda][attention]") {
  need_device();
  DefaultDevice cpu(Device::cpu());
  for (const int64_t n : {1, 2, 31, 33, 97, 300})
    for (const auto& [d, dv] : {std::pair(1, 1), std::pair(8, 40), std::pair(33, 32), std::pair(300, 5)})
      for (const DType t : {f32, f64})
        for (const bool reverse : {false, true}) {
          INFO("n " << n << ", d " << d << " and " << dv << ", " << name_of(t) << (reverse ? ", reverse" : ""));
          auto rounded = [t](const Tensor& x) { return to(to(x, t), f64); };
          Tensor q = rounded(normal({3, n, d}, 1)), k = rounded(normal({3, n, d}, 2)),
                 v = rounded(normal({3, n, dv}, 3));
          // Falls by 10 a step on average: e^{-decay} would soon be infinite.
          Tensor decay = rounded(cumsum(square(normal({3, n}, 4)) * square(normal({3, n}, 5)) * -10, 1));
          decay = reverse ? flip(decay, {1}) : decay;
          Tensor i = unsqueeze(arange(0, n, 1, f64), 1), j = unsqueeze(arange(0, n, 1, f64), 0);
          for (const bool with_decay : {false, true}) {
            Tensor before = reverse ? j >= i : j <= i, exponent = unsqueeze(decay, 2) - unsqueeze(decay, 1);
            Tensor weight =
                where(before, with_decay ? exp(where(before, exponent, zeros_like(exponent))) : ones_like(exponent),
                      zeros_like(exponent));
            Tensor expected = matmul(matmul(q, transpose(k, 1, 2)) * weight, v);
            auto there = [&](const Tensor& x) { return to(x, t).to(Device::cuda()); };
            Tensor got =
                causal_linear_attention(there(q), there(k), there(v), with_decay ? there(decay) : Tensor(), reverse);
            CHECK(difference(to(got.to(Device::cpu()), f64), expected) < (t == f64 ? 1e-12 : 1e-4));
          }
        }
}
