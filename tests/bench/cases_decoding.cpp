// Decoding: passes of a GPT over one token and over trees of them, the loop of generation around them, and a checkpoint
// read from its file.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "inkstone/decoding.h"
#include "inkstone/ink.h"
#include "tensor/io.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

// The model of lesson 12.
std::shared_ptr<GPT> gpt_to_decode() {
  auto model = std::make_shared<GPT>(GPTOptions{.vocabulary = 96, .context = 1024});
  model->eval();
  return model;
}
std::vector<int64_t> tokens_of(int64_t count) { return randint(0, 96, {count}).to_vector<int64_t>(); }

// A pass over a draft of that shape behind `past` tokens, and what follows it in the cache: the root is kept.
Case pass(const std::string& name, const TreeShape& shape, int64_t past, double wanted,
          const std::string& against = {}) {
  Case c{name, 0, 0, [=] {
           auto model = gpt_to_decode();
           auto cache = std::make_shared<SequenceCache>(*model);
           NoGrad guard;
           BatchInvariant invariant;
           cache->begin({tokens_of(past)});
           Draft draft{.token = tokens_of(shape.nodes()), .parent = shape.parent()};
           for (int64_t i = 1; i < shape.nodes(); ++i) draft.token[size_t(i)] = i;  // siblings differ
           return Body([=] {
             NoGrad guard;
             BatchInvariant invariant;
             model->logits(cache->run({draft}));
             cache->keep({{}});
           });
         }};
  c.wanted = wanted;
  c.against = against;
  return c;
}

Case loop(const std::string& name, bool whole, const std::string& against) {
  Case c{name, 0, 0, [=] {
           auto model = gpt_to_decode();
           const std::vector<int64_t> prompt = tokens_of(64);
           return Body([=] {
             if (whole) {
               generate(*model, {prompt}, {.max_tokens = 64});
               return;
             }
             NoGrad guard;
             BatchInvariant invariant;
             std::vector<BlockState> states;
             Tensor next = from_data(prompt, {1, int64_t(prompt.size())});
             for (int64_t i = 0; i < 64; ++i) {
               const Tensor logits = model->step(next, states);
               next = argmax(logits.select(1, logits.size(1) - 1), 1, true);
             }
           });
         }};
  c.wanted = whole ? 0.9 : 0;
  c.against = against;
  return c;
}

// 64 MiB in 16 tensors.
struct Checkpoint {
  std::string path = (std::filesystem::temp_directory_path() / fmt::format("ink-bench-{}", getpid())).string();
  Checkpoint() {
    NamedTensors tensors;
    for (int i = 0; i < 16; ++i) tensors.push_back({fmt::format("layer.{}.weight", i), zeros({1024, 1024})});
    save_safetensors(path, tensors);
  }
  ~Checkpoint() { std::filesystem::remove(path); }
};
Case reading(const std::string& name, bool tensors, const std::string& against) {
  Case c{name, 0, double(64 << 20), [=] {
           auto file = std::make_shared<Checkpoint>();
           auto buffer = std::make_shared<std::vector<char>>(size_t(64 << 20) + 4096);  // memory that is there already
           return Body([=] {
             if (tensors) {
               load_safetensors(file->path);
               return;
             }
             std::vector<char> buffer(size_t(64 << 20) + 4096);
             std::FILE* f = std::fopen(file->path.c_str(), "rb");
             while (std::fread(buffer.data(), 1, buffer.size(), f) > 0) {}
             std::fclose(f);
           });
         }};
  c.wanted = tensors ? 0.9 : 0;
  c.against = against;
  return c;
}

}  // namespace

std::vector<Case> decoding_cases() {
  std::vector<Case> cases;
  for (int64_t past : {16, 128, 512})
    cases.push_back(pass(fmt::format("decode GPT L4 d128 V96, one token after {}", past), TreeShape(), past, 3));
  for (int64_t nodes : {8, 16, 64})
    cases.push_back(
        pass(fmt::format("decode GPT L4 d128 V96, {} tokens after 128", nodes), TreeShape::chain(nodes - 1), 128, 0));
  for (int64_t width : {2, 4, 8})
    cases.push_back(pass(fmt::format("decode GPT L4 d128 V96, tree of {} nodes after 128", 1 + width + width * width),
                         TreeShape::cartesian({width, width}), 128, 0, "decode GPT L4 d128 V96, one token after 128"));
  const std::string steps = "64 greedy tokens by the model's steps alone", read = "64 MiB read from a file";
  cases.push_back(loop(steps, false, ""));
  cases.push_back(loop("64 greedy tokens by generate()", true, steps));
  cases.push_back(reading(read, false, ""));
  cases.push_back(reading("64 MiB of safetensors loaded", true, read));
  return cases;
}

}  // namespace bench
