// Linear and Efficient Attention: the forms agree, the state resumes, the derivatives are complete.
#include "include/inkstone/testing.h"
#include "nn/attention/linear/efficient.h"
#include "nn/attention/linear/linear.h"
#include "nn/attention/linear/linear_core.h"
#include "nn/attention/position.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

constexpr FeatureMap kMaps[] = {FeatureMap::elu_plus_one, FeatureMap::taylor, FeatureMap::taylor2,
                                FeatureMap::identity};

struct Inputs {
  Tensor q, k, v;
};
Inputs inputs(int64_t n, int64_t d = 3, int64_t dv = 2, DType dtype = f64, int64_t batch = 2, int64_t heads = 2) {
  return {normal({batch, heads, n, d}, 1, dtype), normal({batch, heads, n, d}, 2, dtype),
          normal({batch, heads, n, dv}, 3, dtype)};
}
// The n x n weights that an attention function implies: its output for the values e_1 .. e_n.
template <class F> Tensor implied(const Inputs& in, F&& attend) {
  int64_t n = in.k.size(-2);
  return attend(in.q, in.k, eye(n, in.v.options()).expand({in.k.size(0), in.k.size(1), n, n}));
}

// Similarities as the papers print them, [.., n, n], from q and k and not from features.
Tensor similarity(FeatureMap map, const Tensor& q, const Tensor& k) {
  Tensor dot = matmul(q, transpose(k, -2, -1));
  if (map == FeatureMap::identity) return dot;
  if (map == FeatureMap::elu_plus_one) return matmul(elu(q) + 1, transpose(elu(k) + 1, -2, -1));
  if (map == FeatureMap::taylor) return 1 + dot / (norm(q, {-1}, true) * transpose(norm(k, {-1}, true), -2, -1));
  Tensor s = dot / std::sqrt(double(q.size(-1)));
  return 1 + s + square(s) / 2;
}

// f on the sequence as a whole and in two pieces: outputs, final state and all gradients are the same. F: (q, k, v,
// state*) -> out.
template <class State, class F> void check_resumes(const F& f, int64_t n, int64_t cut, auto parts_of_state) {
  auto run = [&](bool split) {
    Inputs in = inputs(n);
    for (Tensor* t : {&in.q, &in.k, &in.v}) t->requires_grad_();
    State state;
    auto piece = [&](int64_t start, int64_t length) {
      return f(in.q.narrow(2, start, length), in.k.narrow(2, start, length), in.v.narrow(2, start, length), &state);
    };
    Tensor out = split ? cat({piece(0, cut), piece(cut, n - cut)}, 2) : piece(0, n);
    Tensor loss = (out * normal(out.shape(), 4)).sum();
    std::vector<Tensor> all{out};
    for (const Tensor& part : parts_of_state(state)) {  // the final state is an output too
      loss = loss + (part * normal(part.shape(), 5)).sum();
      all.push_back(part);
    }
    loss.backward();
    for (const Tensor& t : {in.q, in.k, in.v}) all.push_back(t.grad());
    return all;
  };
  std::vector<Tensor> whole = run(false), pieces = run(true);
  REQUIRE(whole.size() == pieces.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    INFO("output, state, gradients: number " << i);
    CHECK(difference(pieces[i], whole[i]) < 1e-11);
  }
}
std::vector<Tensor> parts(const LinearState& s) {
  return s.norm.defined() ? std::vector<Tensor>{s.sum, s.norm} : std::vector<Tensor>{s.sum};
}

}  // namespace

TEST_CASE("features multiply to the similarity that each map stands for", "[linear-attention]") {
  Inputs in = inputs(7, 4);
  for (FeatureMap map : kMaps) {
    Tensor q = feature_map(map, in.q), k = feature_map(map, in.k);
    CHECK(q.size(-1) == feature_count(map, 4));
    CHECK(difference(matmul(q, transpose(k, -2, -1)), similarity(map, in.q, in.k)) < 1e-11);
  }
  // elu + 1 keeps its digits where elu(x) + 1 has none left
  Tensor far = tensor({-30, -5, 0, 2}, f32);
  CHECK(verify::close(feature_map(FeatureMap::elu_plus_one, far), tensor({std::exp(-30.), std::exp(-5.), 1, 3}, f32))
            .message == "");
}

TEST_CASE("linear attention is a weighted mean: forms agree for every chunk and length", "[linear-attention]") {
  for (FeatureMap map : kMaps)
    for (bool causal : {false, true})
      for (int64_t n : {0, 1, 2, 19, 70}) {
        INFO("map " << int(map) << " causal " << causal << " n " << n);
        Inputs in = inputs(n);
        Tensor w = similarity(map, in.q, in.k);
        if (causal) w = tril(w);
        if (map != FeatureMap::identity) w = w / (sum(w, {-1}, true) + 1e-6);
        Tensor expected = matmul(w, in.v);
        LinearAttentionOptions o{.feature = map, .causal = causal, .form = LinearForm::parallel};
        CHECK(difference(linear_attention(in.q, in.k, in.v, o), expected) < 1e-10);
        o.form = LinearForm::chunked;
        CHECK(difference(linear_attention(in.q, in.k, in.v, o), expected) < 1e-10);
        if (!causal) continue;
        for (int64_t c : {int64_t(1), int64_t(7), int64_t(16), int64_t(64), std::max<int64_t>(n, 1)}) {
          o.chunk = c;
          CHECK(difference(linear_attention(in.q, in.k, in.v, o), expected) < 1e-10);
        }
        o.form = LinearForm::recurrent;
        CHECK(difference(linear_attention(in.q, in.k, in.v, o), expected) < 1e-10);
      }
}

TEST_CASE("a query may meet more or fewer keys than there are queries, unless it is causal", "[linear-attention]") {
  Tensor q = normal({1, 2, 3, 4}, 1), k = normal({1, 2, 8, 4}, 2), v = normal({1, 2, 8, 5}, 3);
  Tensor w = similarity(FeatureMap::elu_plus_one, q, k), expected = matmul(w / (sum(w, {-1}, true) + 1e-6), v);
  CHECK(difference(linear_attention(q, k, v), expected) < 1e-13);
  CHECK(difference(linear_attention(q, k, v, {.form = LinearForm::parallel}), expected) < 1e-13);
  Tensor p = matmul(softmax(q, -1), transpose(softmax(k, -2), -2, -1));
  CHECK(difference(efficient_attention(q, k, v), matmul(p, v)) < 1e-13);
}

TEST_CASE("a decay weighs earlier keys down, in every form, and is carried by the state", "[linear-attention]") {
  const int64_t n = 11;
  Inputs in = inputs(n);
  Tensor fall = cumsum(-square(normal({2, 2, n}, 7)), -1);
  LinearFeatures f{.q = exp(in.q), .k = exp(in.k), .decay = fall};
  Tensor w = tril(matmul(f.q, transpose(f.k, -2, -1)) * exp(unsqueeze(fall, -1) - unsqueeze(fall, -2)));
  Tensor expected = matmul(w, in.v) / (sum(w, {-1}, true) + 1e-6);
  for (LinearForm form : {LinearForm::parallel, LinearForm::recurrent, LinearForm::chunked})
    for (int64_t chunk : {0, 4}) {
      LinearAttentionOptions o{.causal = true, .form = form, .chunk = chunk};
      CHECK(difference(linear_attention(f, in.v, o), expected) < 1e-12);
      auto resumed = [&](const Tensor& q, const Tensor& k, const Tensor& v, LinearState* s) {
        Tensor part = fall.narrow(-1, s->time, q.size(2));
        return linear_attention(LinearFeatures{.q = exp(q), .k = exp(k), .decay = part}, v, o, s);
      };
      check_resumes<LinearState>(resumed, n, 5, parts);
    }
}

TEST_CASE("split and resume equals the whole, with gradients through the state", "[linear-attention][grad]") {
  for (FeatureMap map : kMaps)
    for (LinearForm form : {LinearForm::parallel, LinearForm::recurrent, LinearForm::chunked})
      for (int64_t chunk : {0, 3}) {
        LinearAttentionOptions o{.feature = map, .causal = true, .form = form, .chunk = chunk};
        auto f = [&](const Tensor& q, const Tensor& k, const Tensor& v, LinearState* s) {
          return linear_attention(q, k, v, o, s);
        };
        check_resumes<LinearState>(f, 8, 5, parts);
      }
  LinearState state;
  Inputs in = inputs(6);
  linear_attention(in.q, in.k, in.v, {.causal = true}, &state);
  CHECK(state.time == 6);
  CHECK(difference(state.norm, sum(feature_map(FeatureMap::elu_plus_one, in.k), {-2})) < 1e-14);
  LinearState copy = state;  // continues on its own
  linear_attention(in.q, in.k, in.v, {.causal = true}, &copy);
  CHECK(copy.time == 12);
  CHECK(difference(state.norm, sum(feature_map(FeatureMap::elu_plus_one, in.k), {-2})) < 1e-14);
}

TEST_CASE("derivatives of linear attention, first and second, denominators included", "[linear-attention][grad]") {
  Inputs in = inputs(4, 2, 2, f64, 1, 1);
  for (FeatureMap map : kMaps)
    for (auto [form, chunk] : {std::pair{LinearForm::parallel, 0},
                               {LinearForm::recurrent, 0},
                               {LinearForm::chunked, 0},
                               {LinearForm::chunked, 3}}) {
      INFO("map " << int(map) << " form " << int(form) << " chunk " << chunk);
      LinearAttentionOptions o{.feature = map, .causal = true, .form = form, .chunk = chunk};
      auto f = [&](const TensorList& in) { return TensorList{linear_attention(in[0], in[1], in[2], o)}; };
      CHECK(check_twice(f, {in.q, in.k, in.v}) == "");
      if (form == LinearForm::recurrent) continue;
      o.causal = false;
      CHECK(check_twice(f, {in.q, in.k, in.v}) == "");
    }
  // The values are all 1, so the output is 1 and only the denominator's gradient can cancel the numerator's.
  Tensor k = in.k.clone().requires_grad_();
  linear_attention(in.q, k, ones_like(in.v), {.causal = true, .eps = 0}).sum().backward();
  CHECK(k.grad().abs().max().item() < 1e-14);
}

TEST_CASE("causal kinds do not see the future, and samples do not see each other", "[linear-attention]") {
  auto probe = [&](auto&& attend) {
    Tensor x = normal({2, 2, 9, 4}, 1);  // q, k and v at once
    auto f = [&](const Tensor& x) { return attend(x, x * 0.7, x + 0.1); };
    CHECK(verify::causality(f, x, 2).message == "");
    CHECK(verify::batch(f, x).message == "");
  };
  for (LinearForm form : {LinearForm::parallel, LinearForm::recurrent, LinearForm::chunked})
    for (int64_t chunk : {1, 4, 16}) {
      for (FeatureMap map : kMaps)
        probe([&](const Tensor& q, const Tensor& k, const Tensor& v) {
          return linear_attention(q, k, v, {.feature = map, .causal = true, .form = form, .chunk = chunk - 1});
        });
      probe([&](const Tensor& q, const Tensor& k, const Tensor& v) {
        return efficient_attention(q, k, v, {.causal = true, .form = form, .chunk = chunk});
      });
    }
}

TEST_CASE("Taylor weights lie in [0, 2], and a query of length 0 averages", "[linear-attention]") {
  Inputs in = inputs(12);
  Tensor w = similarity(FeatureMap::taylor, in.q, in.k);
  CHECK(w.min().item() >= 0);
  Tensor q = in.q * 1e3, k = cat({-q.narrow(2, 0, 6), q.narrow(2, 0, 6)}, 2);  // the extremes: cos = -1 and 1
  Tensor s = matmul(feature_map(FeatureMap::taylor, q), transpose(feature_map(FeatureMap::taylor, k), -2, -1));
  CHECK(s.min().item() >= -4 * verify::epsilon(f64));  // rounding
  CHECK(s.max().item() <= 2 + 4 * verify::epsilon(f64));
  CHECK(s.max().item() > 1.999999);
  for (DType dtype : {f32, f64}) {
    Inputs z = inputs(5, 3, 2, dtype);
    z.q = zeros_like(z.q).requires_grad_();
    z.k = cat({zeros_like(z.k.narrow(2, 0, 2)), z.k.narrow(2, 2, 3)}, 2).requires_grad_();
    Tensor y = linear_attention(z.q, z.k, z.v, {.feature = FeatureMap::taylor, .causal = true});
    Tensor mean = cumsum(z.v, 2) / arange(1, 6, 1, z.v.options()).unsqueeze(-1);
    CHECK(verify::close(y.detach(), mean, {1e-5, 1e-5}).message == "");  // sim = 1 with every key
    y.square().sum().backward();
    CHECK(isfinite(z.q.grad()).all().item<bool>());
    CHECK(isfinite(z.k.grad()).all().item<bool>());
  }
}

TEST_CASE("rotation turns the numerator and leaves the denominator positive", "[linear-attention]") {
  Inputs in = inputs(6, 4);
  auto phi = [](const Tensor& x) { return feature_map(FeatureMap::elu_plus_one, x); };
  Tensor w = tril(matmul(rotary(phi(in.q)), transpose(rotary(phi(in.k)), -2, -1)));
  Tensor z = tril(matmul(phi(in.q), transpose(phi(in.k), -2, -1)));
  Tensor expected = matmul(w, in.v) / (sum(z, {-1}, true) + 1e-6);
  for (LinearForm form : {LinearForm::parallel, LinearForm::recurrent, LinearForm::chunked}) {
    LinearAttentionOptions o{.causal = true, .form = form, .rotary = true};
    CHECK(difference(linear_attention(in.q, in.k, in.v, o), expected) < 1e-12);
    LinearState state;  // positions go on where the state stopped
    auto piece = [&](int64_t a, int64_t n) {
      return linear_attention(in.q.narrow(2, a, n), in.k.narrow(2, a, n), in.v.narrow(2, a, n), o, &state);
    };
    CHECK(difference(cat({piece(0, 4), piece(4, 2)}, 2), expected) < 1e-12);
  }
  // the second-order map stays positive for any q and k, so these are rotated
  Tensor s = similarity(FeatureMap::taylor2, rotary(in.q), rotary(in.k));
  CHECK(difference(linear_attention(in.q, in.k, in.v, {.feature = FeatureMap::taylor2, .rotary = true}),
                   matmul(s / (sum(s, {-1}, true) + 1e-6), in.v)) < 1e-12);
}

TEST_CASE("hidden keys count for nothing, in numerator and denominator", "[linear-attention]") {
  Inputs in = inputs(7);
  Tensor seen = (arange(7) < 5).reshape({1, 1, 7}).to(in.v.device());
  auto first = [](const Tensor& t) { return t.narrow(2, 0, 5); };
  for (FeatureMap map : kMaps) {
    Tensor short_one = linear_attention(in.q, first(in.k), first(in.v), {.feature = map});
    CHECK(difference(linear_attention(in.q, in.k, in.v, {.feature = map, .key_mask = seen}), short_one) < 1e-13);
  }
  Tensor short_one = efficient_attention(in.q, first(in.k), first(in.v));
  CHECK(difference(efficient_attention(in.q, in.k, in.v, {.key_mask = seen}), short_one) < 1e-13);
  // nobody to see: 0, not NaN
  Tensor none = linear_attention(in.q, in.k, in.v, {.key_mask = zeros({7}, boolean)});
  CHECK(equal(none, zeros_like(none)));
}

TEST_CASE("rows of Efficient Attention are weighted means; its causal forms agree", "[linear-attention][efficient]") {
  for (int64_t n : {0, 1, 2, 19, 40}) {
    INFO("n " << n);
    Inputs in = inputs(n);
    Tensor full = implied(in, [](auto& q, auto& k, const Tensor& v) { return efficient_attention(q, k, v); });
    EfficientAttentionOptions o{.causal = true, .form = LinearForm::parallel};
    Tensor w = implied(in, [&](auto& q, auto& k, const Tensor& v) { return efficient_attention(q, k, v, o); });
    if (n > 0) {
      CHECK(full.min().item() >= 0);
      CHECK(w.min().item() >= 0);
      CHECK(equal(w, tril(w)));
    }
    CHECK(difference(sum(full, {-1}), ones({2, 2, n}, f64)) < 1e-13);
    CHECK(difference(sum(w, {-1}), ones({2, 2, n}, f64)) < 1e-13);
    CHECK(difference(efficient_attention(in.q, in.k, in.v, {.form = LinearForm::parallel}), matmul(full, in.v)) <
          1e-13);
    // by the definition: row i is the attention over the first i + 1 tokens
    for (int64_t i = 0; i < n; i += 6) {
      Tensor row = efficient_attention(in.q.narrow(2, i, 1), in.k.narrow(2, 0, i + 1), in.v.narrow(2, 0, i + 1));
      CHECK(difference(matmul(w, in.v).narrow(2, i, 1), row) < 1e-13);
    }
    for (int64_t c : {int64_t(1), int64_t(7), int64_t(16), int64_t(64), std::max<int64_t>(n, 1)}) {
      o.form = LinearForm::chunked, o.chunk = c;
      CHECK(difference(efficient_attention(in.q, in.k, in.v, o), matmul(w, in.v)) < 1e-12);
    }
    o.form = LinearForm::recurrent;
    CHECK(difference(efficient_attention(in.q, in.k, in.v, o), matmul(w, in.v)) < 1e-12);
  }
}

TEST_CASE("causal Efficient Attention survives keys that grow, which a maximum over all tokens would not",
          "[linear-attention][efficient]") {
  const int64_t n = 40;
  Tensor q = normal({1, 1, n, 3}, 1, f32), v = normal({1, 1, n, 2}, 3, f32);
  Tensor k = normal({1, 1, n, 3}, 2, f32) +
             arange(0, n, 1, q.options()).unsqueeze(-1) * 30;  // up to 1170; e^{k - max} of the first: 0
  for (float sign : {1.f, -1.f}) {
    Tensor keys = k * sign;
    Tensor expected =
        efficient_attention(q.to(f64), keys.to(f64), v.to(f64), {.causal = true, .form = LinearForm::recurrent});
    for (LinearForm form : {LinearForm::parallel, LinearForm::recurrent, LinearForm::chunked}) {
      Tensor y = efficient_attention(q, keys, v, {.causal = true, .form = form});
      CHECK(isfinite(y).all().item<bool>());
      CHECK(verify::close(y.to(f64), expected, {1e-3, 1e-3}).message == "");  // k of order 1e3 is known to 6e-5
    }
  }
}

TEST_CASE("Efficient Attention resumes, and has right derivatives", "[linear-attention][efficient][grad]") {
  Inputs in = inputs(4, 2, 2, f64, 1, 1);
  for (auto [form, chunk] :
       {std::pair{LinearForm::parallel, 16}, {LinearForm::recurrent, 16}, {LinearForm::chunked, 3}}) {
    EfficientAttentionOptions o{.causal = true, .form = form, .chunk = chunk};
    auto f = [&](const Tensor& q, const Tensor& k, const Tensor& v, EfficientState* s) {
      return efficient_attention(q, k, v, o, s);
    };
    check_resumes<EfficientState>(f, 8, 5, [](const EfficientState& s) { return std::vector<Tensor>{s.mean, s.lse}; });
    CHECK(check_twice([&](const TensorList& in) { return TensorList{f(in[0], in[1], in[2], nullptr)}; },
                      {in.q, in.k, in.v}) == "");
  }
  CHECK(check_twice([](const TensorList& in) { return TensorList{efficient_attention(in[0], in[1], in[2])}; },
                    {in.q, in.k, in.v}) == "");
}

TEST_CASE("linear and efficient cores: a step equals the last rows of the whole", "[linear-attention][core]") {
  Inputs in = inputs(9, 4, 4, f32);
  LinearCore linear({.feature = FeatureMap::taylor, .causal = true, .rotary = true});
  EfficientCore efficient({.causal = true});
  for (const AttentionCore* core :
       {static_cast<const AttentionCore*>(&linear), static_cast<const AttentionCore*>(&efficient)}) {
    INFO(core->name());
    Tensor whole = core->attend(in.q, in.k, in.v, {});
    std::unique_ptr<AttentionCore> copy = core->clone();
    AttentionState state;
    std::vector<Tensor> out;
    int64_t bytes = 0;
    for (auto [start, length] : {std::pair{0, 4}, {4, 1}, {5, 1}, {6, 3}}) {
      auto part = [&](const Tensor& t) { return t.narrow(2, start, length); };
      out.push_back(copy->step(part(in.q), part(in.k), part(in.v), state));
      CHECK(state.time == start + length);
      int64_t now = state.sum.nbytes() + state.norm.nbytes();
      CHECK((bytes == 0 || bytes == now));  // it does not grow
      bytes = now;
    }
    CHECK(verify::close(cat(out, 2), whole, verify::tolerance(f32, 16)).message == "");
    Tensor seen = (arange(9) < 6).reshape({1, 1, 1, 9}).to(in.v.device());
    Tensor padded = core->attend(in.q, in.k, in.v, seen);
    CHECK(verify::close(padded.narrow(2, 0, 6), whole.narrow(2, 0, 6)).message == "");
    CHECK_THROWS_WITH(core->attend(in.q, in.k, in.v, tri(9, 9)),
                      contains("a key is hidden from all or none; got mask [9, 9]"));
    CHECK_THROWS_WITH(core->attend(in.q, in.k, in.v, ones({1, 9})), contains("the mask must be bool; got f32"));
  }
  AttentionState state;
  CHECK_THROWS_WITH(LinearCore().step(in.q, in.k, in.v, state), contains("LinearCore: a step needs the causal form"));
  CHECK_THROWS_WITH(EfficientCore().step(in.q, in.k, in.v, state),
                    contains("EfficientCore: a step needs the causal form"));
}

TEST_CASE("rotated queries and keys tell distances to the linear kinds, not to Efficient Attention",
          "[linear-attention][core]") {
  Inputs in = inputs(6, 4);
  // Positions that start at 5 instead of 0: do the outputs stay?
  auto moves = [&](auto&& attend) { return difference(attend(5), attend(0)) > 1e-9; };
  for (FeatureMap map : {FeatureMap::elu_plus_one, FeatureMap::taylor, FeatureMap::taylor2})
    CHECK_FALSE(moves([&](int64_t start) {
      LinearState state;
      state.time = start;
      return linear_attention(in.q, in.k, in.v, {.feature = map, .causal = true, .rotary = true}, &state);
    }));
  CHECK(moves([&](int64_t start) { return efficient_attention(rotary(in.q, start), rotary(in.k, start), in.v); }));
  CHECK(LinearCore().rotation() == Rotation::inside);
  CHECK(EfficientCore().rotation() == Rotation::never);
}

TEST_CASE("errors of linear and efficient attention", "[linear-attention][errors]") {
  Tensor q = zeros({1, 2, 4, 3}), k = zeros({1, 2, 5, 3}), v = zeros({1, 2, 5, 3});
  LinearState state;
  EfficientState other;
  CHECK_THROWS_WITH(linear_attention(q, k, q),
                    contains("linear_attention: sizes do not fit; got q [1, 2, 4, 3], k [1, 2, 5, 3], v [1, 2, 4, 3]"));
  CHECK_THROWS_WITH(linear_attention(q, zeros({1, 1, 5, 3}), v),
                    contains("linear_attention: batch dims must be equal"));
  CHECK_THROWS_WITH(linear_attention(q, k, v, {.causal = true}), contains("got 4 queries and 5 keys"));
  CHECK_THROWS_WITH(linear_attention(q, k, v, {}, &state), contains("got a state without causal"));
  CHECK_THROWS_WITH(linear_attention(q, k, v, {.form = LinearForm::recurrent}),
                    contains("the recurrent form sees only tokens before"));
  CHECK_THROWS_WITH(linear_attention(q, q, q, {.causal = true, .chunk = -1}), contains("got chunk -1, eps 1e-06"));
  CHECK_THROWS_WITH(linear_attention(LinearFeatures{.q = q, .k = q, .decay = zeros({1, 2, 4})}, q, {}),
                    contains("a decay goes along time"));
  state.sum = zeros({1, 2, 3, 7});
  CHECK_THROWS_WITH(linear_attention(q, q, q, {.causal = true}, &state),
                    contains("wrong state; got S [1, 2, 3, 7]; expected [1, 2, 3, 3]"));
  CHECK_THROWS_WITH(efficient_attention(q, k, q), contains("efficient_attention: sizes do not fit"));
  CHECK_THROWS_WITH(efficient_attention(q, k, v, {.causal = true}), contains("got 4 queries and 5 keys"));
  CHECK_THROWS_WITH(efficient_attention(q, k, v, {}, &other), contains("expected causal = true"));
  CHECK_THROWS_WITH(efficient_attention(q, q, q, {.causal = true, .chunk = 0}),
                    contains("got chunk 0; expected at least 1"));
  other.mean = zeros({1, 2, 3, 7}), other.lse = zeros({1, 2, 3});
  CHECK_THROWS_WITH(efficient_attention(q, q, q, {.causal = true}, &other),
                    contains("wrong state; got G [1, 2, 3, 7]"));
}
