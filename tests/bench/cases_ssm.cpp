// State space models: the selective scan, a training step of Mamba, and decoding token by token.
#include <fmt/format.h>

#include <memory>

#include "inkstone/ink.h"
#include "inkstone/ssm.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

// 6 operations a step, channel and state forwards, about 3 times as many with the gradients.
Case scan_case(int64_t batch, int64_t time, int64_t channels, int64_t states, bool backward) {
  const double elements = double(batch * time * channels * states);
  return {fmt::format("selective scan {} B{} T{} D{} N{}", backward ? "fwd+bwd" : "fwd", batch, time, channels, states),
          (backward ? 24 : 6) * elements, 0,
          [=] {
            TensorList in{randn({batch, time, channels}), softplus(randn({batch, time, channels}) - 3),
                          -exp(randn({channels, states})), randn({batch, time, states}), randn({batch, time, states})};
            for (Tensor& t : in) t.requires_grad_();
            Tensor g = randn({batch, time, channels});
            return Body([=] {
              GradMode mode(backward);
              auto [y, last] = selective_scan(in[0], in[1], in[2], in[3], in[4]);
              if (backward) grad(std::span(&y, 1), in, std::span(&g, 1));
            });
          },
          20};
}

// Two residual layers of Mamba over 96 symbols.
struct MambaModel : Module {
  Embedding tokens;
  std::vector<RMSNorm> norms;
  std::vector<Mamba> layers;
  RMSNorm norm;
  Linear head;
  explicit MambaModel(int64_t dim) : tokens(96, dim), norm(dim), head(dim, 96, {.bias = false}) {
    for (int i = 0; i < 2; ++i) norms.emplace_back(dim), layers.emplace_back(MambaOptions{.dim = dim});
  }
  Tensor step(const Tensor& ids, std::vector<Mamba::State>& states) const {
    Tensor x = tokens.forward(ids);
    states.resize(layers.size());
    for (size_t i = 0; i < layers.size(); ++i) x = x + layers[i].step(norms[i].forward(x), states[i]);
    return head.forward(norm.forward(x));
  }
  Tensor forward(const Tensor& ids) const {
    std::vector<Mamba::State> states;
    return step(ids, states);
  }
  void fields(Fields& f) override { f("tokens", tokens)("norms", norms)("layers", layers)("norm", norm)("head", head); }
};

Case training_case(int64_t dim, int64_t time, int64_t batch) {
  return {fmt::format("train step Mamba L2 d{} T{} B{} V96", dim, time, batch), 0, 0,
          [=] {
            auto model = std::make_shared<MambaModel>(dim);
            auto opt = std::make_shared<AdamW>(model->parameters(), AdamWOptions{.lr = 1e-3});
            Tensor ids = randint(0, 96, {batch, time}), next = randint(0, 96, {batch * time});
            return Body([=] {
              opt->zero_grad();
              cross_entropy(model->forward(ids).flatten(0, 1), next).backward();
              opt->step();
            });
          },
          3};
}

// One token after `past` others: the same time for any past.
Case decoding_case(int64_t dim, int64_t past) {
  return {fmt::format("decode Mamba L2 d{} V96, one token after {}", dim, past), 0, 0,
          [=] {
            NoGrad guard;
            auto model = std::make_shared<MambaModel>(dim);
            std::vector<Mamba::State> states;
            model->step(randint(0, 96, {1, past}), states);
            Tensor id = randint(0, 96, {1, 1});
            return Body([=] {
              NoGrad guard;
              std::vector<Mamba::State> next = states;
              model->step(id, next);
            });
          },
          5};
}

// The same for a GPT of two blocks of a kind; attention beside it, whose keys grow.
Case decoding_kind(const BlockKind& kind, int64_t past) {
  return {fmt::format("decode {} L2 d64 V96, one token after {}", name_of(kind), past), 0, 0, [=] {
            NoGrad guard;
            auto model = std::make_shared<GPT>(GPTOptions{
                .vocabulary = 96, .context = past + 1, .dim = 64, .stack = {kind, kind}, .positions = false});
            std::vector<BlockState> states;
            model->step(randint(0, 96, {1, past}), states);
            Tensor id = randint(0, 96, {1, 1});
            return Body([=] {
              NoGrad guard;
              std::vector<BlockState> next = states;
              model->step(id, next);
            });
          }};
}

}  // namespace

std::vector<Case> ssm_cases() {
  std::vector<Case> c;
  for (bool backward : {false, true}) c.push_back(scan_case(4, 256, 128, 16, backward));
  c.push_back(training_case(64, 256, 8));
  for (int64_t past : {16, 1024, 8192}) c.push_back(decoding_case(64, past));
  for (int64_t past : {16, 4096}) {
    for (SsmKind kind : all_ssm_kinds()) c.push_back(decoding_kind(kind, past));
    c.push_back(decoding_kind(KindChoice(AttentionKind::softmax), past));
  }
  return c;
}

}  // namespace bench
