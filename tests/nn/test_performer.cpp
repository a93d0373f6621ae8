// FAVOR+: the projection, the error of the kernel, a stabiliser that neither sees the future nor other samples.
#include <cmath>

#include "autograd/graph/mode.h"
#include "include/inkstone/testing.h"
#include "nn/attention/linear/linear_core.h"
#include "nn/attention/linear/performer.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

// max |estimate - e^{q.k/sqrt(d)}| / e^{...}, mean over draws of the mean relative error.
double kernel_error(RandomFeatures kind, const ProjectionOptions& how, int64_t m, const Tensor& q, const Tensor& k,
                    int draws) {
  Tensor exact = exp(matmul(q, transpose(k, 0, 1)) / std::sqrt(double(q.size(1))));
  Generator generator(5);
  double sum = 0;
  for (int i = 0; i < draws; ++i) {
    Tensor w = random_projection(m, q.size(1), how, q.options(), &generator);
    Tensor estimate = matmul(random_features(kind, q, w), transpose(random_features(kind, k, w), 0, 1));
    sum += std::sqrt(square((estimate - exact) / exact).mean().item());
  }
  return sum / draws;
}

// The formula without a stabiliser, f64.
Tensor definition(RandomFeatures kind, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& w,
                  bool causal) {
  Tensor a = matmul(random_features(kind, q, w), transpose(random_features(kind, k, w), -2, -1));
  if (causal) a = tril(a);
  return matmul(a, v) / sum(a, {-1}, true);
}

Tensor projection(int64_t m, int64_t d, DType dtype = f64) {
  Generator generator(1);
  return random_projection(m, d, {}, dtype, &generator);
}

}  // namespace

TEST_CASE("a projection has orthogonal rows, whose lengths are those of Gaussian vectors", "[performer]") {
  Generator generator(1);
  Tensor w = random_projection(20, 8, {}, f64, &generator);  // blocks of 8, 8 and 4 rows
  CHECK(w.shape() == Shape{20, 8});
  for (auto [start, rows] : {std::pair{0, 8}, {8, 8}, {16, 4}}) {
    Tensor block = w.narrow(0, start, rows), gram = matmul(block, transpose(block, 0, 1));
    CHECK((gram - diag(diagonal(gram))).abs().max().item() < 1e-12);
  }
  Tensor fixed = random_projection(20, 8, {.fixed_norm = true}, f64, &generator);
  CHECK(difference(norm(fixed, {1}), full({20}, std::sqrt(8.), f64)) < 1e-13);
  // Each row alone is N(0, I): mean 0, covariance I, E|w|^2 = d. Without the signs of R the first coordinates would
  // lean to one side.
  Tensor many = random_projection(8000, 4, {}, f64, &generator);
  CHECK(many.mean({0}).abs().max().item() < 0.06);  // 5 standard errors
  CHECK((matmul(transpose(many, 0, 1), many) / 8000 - eye(4, f64)).abs().max().item() < 0.1);
  CHECK(many.square().sum({1}).var().item() == Approx(8).epsilon(0.15));  // of chi^2(4); 0 if lengths were fixed
  CHECK(favor_feature_count(16) == 44);
  CHECK(favor_feature_count(1) == 1);
  CHECK(random_projection(3, 5, {.orthogonal = false}, f32, &generator).shape() == Shape{3, 5});
}

TEST_CASE("the mean of the features' products is the softmax kernel, with an error that falls as 1 / sqrt(m)",
          "[performer]") {
  Tensor q = normal({24, 16}, 1) * 0.35, k = normal({24, 16}, 2) * 0.35;  // longer ones have heavier tails
  for (RandomFeatures kind : {RandomFeatures::positive, RandomFeatures::trigonometric}) {
    double few = kernel_error(kind, {.orthogonal = false}, 16, q, k, 24),
           many = kernel_error(kind, {.orthogonal = false}, 1024, q, k, 6);
    INFO("kind " << int(kind) << ": " << few << " at m = 16, " << many << " at m = 1024");
    double slope = std::log(many / few) / std::log(64.);
    CHECK(slope > -0.55);
    CHECK(slope < -0.45);
  }
  CHECK(kernel_error(RandomFeatures::positive, {.orthogonal = false}, 256, q, k, 12) < 0.35);
  CHECK(kernel_error(RandomFeatures::positive, {}, 64, q, k, 24) <
        kernel_error(RandomFeatures::positive, {.orthogonal = false}, 64, q, k, 24));
}

TEST_CASE("performer attention is the formula, in every form, for every chunk and length", "[performer]") {
  Tensor w = projection(6, 4);
  for (RandomFeatures kind : {RandomFeatures::positive, RandomFeatures::relu})
    for (int64_t n : {0, 1, 2, 19, 40}) {
      INFO("kind " << int(kind) << " n " << n);
      Tensor q = normal({2, 2, n, 4}, 1), k = normal({2, 2, n, 4}, 2), v = normal({2, 2, n, 3}, 3);
      for (LinearForm form : {LinearForm::parallel, LinearForm::chunked})
        CHECK(difference(performer_attention(q, k, v, w, {.kind = kind, .form = form, .eps = 0}),
                         definition(kind, q, k, v, w, false)) < 1e-10);
      Tensor expected = definition(kind, q, k, v, w, true);
      for (LinearForm form : {LinearForm::parallel, LinearForm::recurrent, LinearForm::chunked})
        for (int64_t chunk : {int64_t(0), int64_t(1), int64_t(7), int64_t(16), int64_t(64), std::max<int64_t>(n, 1)}) {
          PerformerAttentionOptions o{.kind = kind, .causal = true, .form = form, .chunk = chunk, .eps = 0};
          CHECK(difference(performer_attention(q, k, v, w, o), expected) < 1e-10);
          if (form != LinearForm::chunked) break;
        }
    }
}

TEST_CASE("the stabiliser holds for long vectors, and for keys that grow or shrink along time", "[performer]") {
  Tensor w = projection(16, 4, f32);
  const int64_t n = 30;
  Tensor q = normal({1, 1, n, 4}, 1, f32) * 12, k = normal({1, 1, n, 4}, 2, f32), v = normal({1, 1, n, 3}, 3, f32);
  Tensor ramp = arange(0, n, 1, q.options()).unsqueeze(-1);
  CHECK_FALSE(
      isfinite(definition(RandomFeatures::positive, q, k * 12, v, w, true)).all().item<bool>());  // plain: 0 / 0
  for (const Tensor& keys : {k * 12, k * ramp, k * (n - ramp)})
    for (bool causal : {false, true})
      for (LinearForm form : {LinearForm::parallel, LinearForm::chunked}) {
        Tensor y = performer_attention(q, keys, v, w, {.causal = causal, .form = form});
        CHECK(isfinite(y).all().item<bool>());
        CHECK(y.abs().max().item() <= v.abs().max().item() * 1.0001);  // a weighted mean of values
      }
}

TEST_CASE("performer attention does not see the future nor other samples, with eps too", "[performer]") {
  Tensor w = projection(6, 4), x = normal({3, 2, 7, 4}, 1);
  Tensor scale = tensor({1, 3, 0.2}, f64).reshape({3, 1, 1, 1});  // samples with maxima far apart
  for (double eps : {0., 1e-2})
    for (LinearForm form : {LinearForm::parallel, LinearForm::recurrent, LinearForm::chunked}) {
      PerformerAttentionOptions o{.causal = true, .form = form, .eps = eps};
      auto f = [&](const Tensor& x) { return performer_attention(x, x * 0.8, x + 0.1, w, o); };
      CHECK(verify::causality(f, x, 2).message == "");
      CHECK(verify::batch(f, x * scale).message == "");
      if (form == LinearForm::recurrent) continue;
      o.causal = false;
      CHECK(verify::batch(f, x * scale).message == "");
    }
}

TEST_CASE("derivatives of performer attention, and of the features", "[performer][grad]") {
  Tensor w = projection(3, 2);
  TensorList in{normal({1, 1, 4, 2}, 1), normal({1, 1, 4, 2}, 2), normal({1, 1, 4, 2}, 3)};
  for (RandomFeatures kind : {RandomFeatures::positive, RandomFeatures::trigonometric, RandomFeatures::relu})
    CHECK(check_twice([&](const Tensor& x) { return random_features(kind, x, w); }, in[0]) == "");
  for (RandomFeatures kind : {RandomFeatures::positive, RandomFeatures::relu})
    for (auto [causal, form, chunk] : {std::tuple{false, LinearForm::chunked, 0},
                                       {true, LinearForm::parallel, 0},
                                       {true, LinearForm::recurrent, 0},
                                       {true, LinearForm::chunked, 0},
                                       {true, LinearForm::chunked, 3}}) {
      INFO("kind " << int(kind) << " causal " << causal << " form " << int(form) << " chunk " << chunk);
      PerformerAttentionOptions o{.kind = kind, .causal = causal, .form = form, .chunk = chunk, .eps = 0};
      CHECK(check_twice([&](const TensorList& x) { return TensorList{performer_attention(x[0], x[1], x[2], w, o)}; },
                        in) == "");
    }
}

TEST_CASE("performer attention resumes, with gradients through the state", "[performer][grad]") {
  const int64_t n = 8;
  Tensor w = projection(5, 3);
  for (LinearForm form : {LinearForm::parallel, LinearForm::recurrent, LinearForm::chunked}) {
    PerformerAttentionOptions o{.causal = true, .form = form};
    auto run = [&](std::vector<int64_t> cuts) {
      Tensor x = normal({2, 1, n, 3}, 1).requires_grad_();
      LinearState state;
      std::vector<Tensor> out;
      for (size_t i = 0; i + 1 < cuts.size(); ++i) {
        Tensor part = x.narrow(2, cuts[i], cuts[i + 1] - cuts[i]);
        out.push_back(performer_attention(part * 2, part * 3, part, w, o, &state));
      }
      Tensor y = cat(out, 2);
      (y * normal(y.shape(), 2)).sum().backward();
      return std::vector<Tensor>{y, x.grad(), state.sum, state.norm, state.decay};
    };
    auto whole = run({0, n}), pieces = run({0, 3, 4, n});
    for (size_t i = 0; i < whole.size(); ++i) CHECK(difference(pieces[i], whole[i]) < 1e-9);
  }
}

TEST_CASE("hidden keys count for nothing in performer attention", "[performer]") {
  Tensor w = projection(6, 4), q = normal({1, 2, 7, 4}, 1), k = normal({1, 2, 7, 4}, 2), v = normal({1, 2, 7, 3}, 3);
  auto last = [](const Tensor& t) { return t.narrow(2, 2, 5); };
  Tensor seen = (arange(7) >= 2).reshape({1, 1, 7}).to(v.device());
  k = cat({k.narrow(2, 0, 2) * 50, last(k)}, 2);  // hidden keys must not move the maximum either
  for (RandomFeatures kind : {RandomFeatures::positive, RandomFeatures::relu}) {
    Tensor full = performer_attention(q, k, v, w, {.kind = kind, .key_mask = seen});
    CHECK(difference(full, performer_attention(q, last(k), last(v), w, {.kind = kind})) < 1e-9);
    Tensor rows = performer_attention(q, k, v, w, {.kind = kind, .causal = true, .key_mask = seen});
    CHECK(difference(last(rows), performer_attention(last(q), last(k), last(v), w, {.kind = kind, .causal = true})) <
          1e-9);
    CHECK(equal(rows.narrow(2, 0, 2), zeros({1, 2, 2, 3}, f64)));  // nobody to see yet
  }
}

TEST_CASE("the performer core steps, saves its projection, and draws another when asked", "[performer][core]") {
  Generator generator(3);
  PerformerCore core({.width = 4, .attention = {.causal = true}}, &generator);
  CHECK(core.projection.shape() == Shape{6, 4});  // 4 ln 4 = 5.5
  Tensor q = normal({2, 2, 9, 4}, 1, f32), k = normal({2, 2, 9, 4}, 2, f32), v = normal({2, 2, 9, 4}, 3, f32);
  Tensor whole = core.attend(q, k, v, {});
  AttentionState state;
  std::vector<Tensor> out;
  for (auto [start, length] : {std::pair{0, 5}, {5, 1}, {6, 3}})
    out.push_back(core.step(q.narrow(2, start, length), k.narrow(2, start, length), v.narrow(2, start, length), state));
  CHECK(state.time == 9);
  CHECK(verify::close(cat(out, 2), whole, verify::tolerance(f32, 16)).message == "");

  TemporaryFolder folder;
  core.save(folder / "core.safetensors");
  std::unique_ptr<AttentionCore> copy = core.clone();
  core.redraw(&generator);
  CHECK(difference(core.attend(q, k, v, {}), whole) > 1e-3);
  CHECK(difference(copy->attend(q, k, v, {}), whole) == 0);  // a copy keeps its own
  core.load(folder / "core.safetensors");
  CHECK(equal(core.attend(q, k, v, {}), whole));
  core.to(f64);
  CHECK(core.attend(q.to(f64), k.to(f64), v.to(f64), {}).dtype() == f64);
  CHECK(core.parameters().empty());  // nothing to train
  core.redraw(&generator);
  CHECK(core.projection.dtype() == f64);
}

TEST_CASE("errors of performer attention", "[performer][errors]") {
  Tensor x = zeros({1, 1, 3, 4}), w = zeros({5, 4});
  CHECK_THROWS_WITH(random_projection(0, 4), contains("random_projection: got 0 features of width 4"));
  CHECK_THROWS_WITH(performer_attention(x, x, x, zeros({5, 3})),
                    contains("performer_attention: the projection does not fit; got x [1, 1, 3, 4], "
                             "projection [5, 3]; expected [..., d] and [features, d]"));
  CHECK_THROWS_WITH(random_features(RandomFeatures::positive, x, zeros({4})),
                    contains("random_features: the projection does not fit"));
  CHECK_THROWS_WITH(performer_attention(x, x, x, w, {.kind = RandomFeatures::trigonometric}),
                    contains("expected positive or relu"));
  CHECK_THROWS_WITH(performer_attention(x, x, x, w, {.eps = -1}), contains("got eps -1; expected at least 0"));
  CHECK_THROWS_WITH(performer_attention(x, x, zeros({1, 1, 2, 4}), w), contains("linear_attention: sizes do not fit"));
  AttentionState state;
  CHECK_THROWS_WITH(PerformerCore({.width = 4}).step(x, x, x, state),
                    contains("PerformerCore: a step needs the causal form"));
  CHECK_THROWS_WITH(PerformerCore({.width = 4}).attend(x, x, x, tri(3, 3)),
                    contains("PerformerCore: the sums over keys are shared"));
}
