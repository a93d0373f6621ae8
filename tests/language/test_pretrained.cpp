// Checkpoints in Hugging Face's layout: logits and greedy continuations of the public implementations, and folders that
// are wrong.
#include "nn/decoding/pretrained/pretrained.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "include/inkstone/testing.h"
#include "nn/decoding/generate.h"
#include "nn/decoding/medusa/training.h"
#include "nn/decoding/pretrained/llama.h"
#include "nn/decoding/tokenizer/tokenizer.h"
#include "optim/adam.h"
#include "tensor/io.h"
#include "tests/catch.h"
#include "tests/support/temporary.h"

using namespace ink;
namespace fs = std::filesystem;

namespace {

const std::string kModels = std::string(INK_SOURCE_DIR) + "/tests/golden/language_models/";

Tensor of(const NamedTensors& all, const char* name) {
  for (const auto& [n, t] : all)
    if (n == name) return t;
  throw ValueError(std::string("no ") + name);
}

std::string text_of(const std::string& path) {
  std::stringstream s;
  s << std::ifstream(path, std::ios::binary).rdbuf();
  return s.str();
}
void replace(const std::string& path, const std::string& what, const std::string& by) {
  std::string text = text_of(path);
  const size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  std::ofstream(path, std::ios::binary) << text.replace(at, what.size(), by);
}

// A copy of one of the checkpoints, to be spoilt.
struct Copy {
  ink::test::TemporaryFolder folder;
  std::string path = folder / "model";
  explicit Copy(const std::string& name) { fs::copy(kModels + name, path, fs::copy_options::recursive); }
};

// Token by token from the prompt, by the states.
std::vector<int64_t> greedy(const CausalLM& model, const Tensor& prompt, int64_t more) {
  NoGrad guard;
  std::vector<int64_t> ids = prompt.to_vector<int64_t>();
  std::vector<BlockState> states;
  Tensor logits = model.step(prompt, states);
  for (int64_t i = 0; i < more; ++i) {
    const Tensor next = argmax(logits.select(1, logits.size(1) - 1), 1, true);
    ids.push_back(next.item<int64_t>());
    if (i + 1 < more) logits = model.step(next, states);
  }
  return ids;
}

}  // namespace

TEST_CASE("logits and greedy continuations are those of the public implementations", "[pretrained]") {
  const std::string name = GENERATE("gpt2", "llama", "llama_tied", "mistral", "qwen2", "rope_linear", "rope_dynamic",
                                    "rope_yarn", "rope_llama3");
  INFO(name);
  const Pretrained p = load_pretrained(kModels + name);
  CHECK(p.left_over.empty());
  CHECK_FALSE(p.model->is_training());
  const NamedTensors expected = load_npz(kModels + name + "/expected.npz");
  const Tensor ids = of(expected, "ids").to(default_device());
  NoGrad guard;
  CHECK(verify::close(p.model->forward(ids), of(expected, "logits").to(default_device()), {.rtol = 0, .atol = 1e-4}));
  const Tensor want = of(expected, "greedy").to(default_device());
  if (name != "rope_dynamic") {
    CHECK(greedy(*p.model, want.narrow(1, 0, 5), want.size(1) - 5) == want.to_vector<int64_t>());
  } else {  // angles of keys already seen would change
    std::vector<BlockState> states;
    p.model->step(want.narrow(1, 0, 12), states);
    CHECK_THROWS_AS(p.model->step(want.narrow(1, 12, 1), states), NotSupported);
  }
}

TEST_CASE("the page on checkpoints: a text goes in, a text comes out", "[pretrained]") {
  Copy both("llama");
  fs::copy_file(std::string(INK_SOURCE_DIR) + "/tests/golden/language_models/bpe_gpt2/tokenizer.json",
                both.path + "/tokenizer.json");
  const std::string folder = both.path;
  // The vocabulary of the tiny model is smaller than the tokenizer's: ids beyond it are left out here.
  const auto known = [](std::vector<int64_t> ids) {
    std::erase_if(ids, [](int64_t id) { return id >= 61; });
    return ids;
  };
  NoGrad guard;
  Pretrained p = load_pretrained(folder);
  Tokenizer tokenizer = Tokenizer::load(folder);
  std::vector<int64_t> ids = known(tokenizer.encode("The light is 7!"));
  std::vector<BlockState> states;
  Tensor input = from_data(ids, {1, int64_t(ids.size())}).to(default_device());
  for (int i = 0; i < 5; ++i) {
    Tensor logits = p.model->step(input, states);  // [1, tokens, vocabulary]
    input = argmax(logits.select(1, logits.size(1) - 1), 1, true);
    ids.push_back(input.item<int64_t>());
  }
  CHECK(tokenizer.decode(ids).size() >= ids.size());

  GenerateOptions options{.max_tokens = 20, .sampling = SamplingOptions{.temperature = 0.8, .top_p = 0.95}};
  Generation written = generate(*p.model, {ids}, options);
  std::string text = tokenizer.decode(written.rows[0].tokens);
  CHECK(written.rows[0].tokens.size() == 20);
  CHECK(text.size() >= 20);

  EnableGrad recorded;
  MedusaHeads heads(*p.model, {.heads = 3});
  Adam optimizer(heads.parameters(), {.lr = 1e-3});
  Tensor texts = self_written(*p.model, reshape(input, {1, 1}), {.tokens = 30});  // the model's own text
  const double before = medusa_loss(heads, texts).item();
  medusa_loss(heads, texts).backward();
  optimizer.step();
  CHECK(medusa_loss(heads, texts).item() < before);
}

TEST_CASE("a checkpoint in other dtypes, and one copy of it in memory", "[pretrained]") {
  const Pretrained half = load_pretrained(kModels + "gpt2", {.dtype = bf16});
  for (const auto& [name, t] : half.model->state_dict()) CHECK(t.dtype() == bf16);
  const NamedTensors expected = load_npz(kModels + "gpt2/expected.npz");
  NoGrad guard;
  const Tensor got = half.model->forward(of(expected, "ids").to(default_device())).to(f32);
  const Tensor want = of(expected, "logits").to(default_device());
  CHECK((got - want).abs().max().item() < 0.05 * want.abs().max().item());
  CHECK_THROWS_AS(load_pretrained(kModels + "gpt2", {.dtype = i64}), DTypeError);
}

TEST_CASE("parameters of a checkpoint can be trained", "[pretrained]") {
  const Pretrained p = load_pretrained(kModels + "llama");
  const Tensor ids = of(load_npz(kModels + "llama/expected.npz"), "ids").to(default_device());
  const Tensor loss = p.model->forward(ids).square().mean();
  check_covers(loss, static_cast<Llama&>(*p.model));
  loss.backward();
  for (const auto& [name, t] : p.model->named_parameters()) {
    INFO(name);
    CHECK(t.grad().defined());
  }
}

TEST_CASE("names that are missing, left over or of another shape are listed", "[pretrained]") {
  Copy c("gpt2");
  NamedTensors tensors = load_safetensors(c.path + "/model.safetensors");
  for (auto& [name, t] : tensors)
    if (name.ends_with("h.1.ln_2.bias")) name = "transformer.h.1.ln_3.bias";
  for (auto& [name, t] : tensors)
    if (name.ends_with("h.0.mlp.c_fc.weight")) t = t.t().contiguous();
  save_safetensors(c.path + "/model.safetensors", tensors);
  try {
    load_pretrained(c.path);
    FAIL("it was loaded");
  } catch (const ValueError& e) {
    for (const char* part : {"missing: h.1.ln_2.bias", "left over: transformer.h.1.ln_3.bias",
                             "h.0.mlp.c_fc.weight [32, 128] (expected [128, 32])"})
      CHECK_THAT(e.what(), contains(part));
  }
  // One tensor too many is said and does not matter.
  Copy more("gpt2");
  tensors = load_safetensors(more.path + "/model.safetensors");
  tensors.emplace_back("extra.weight", ones({2}));
  save_safetensors(more.path + "/model.safetensors", tensors);
  CHECK(load_pretrained(more.path).left_over == std::vector<std::string>{"extra.weight"});
}

TEST_CASE("a folder that is wrong is refused with its file named", "[pretrained]") {
  CHECK_THROWS_AS(load_pretrained("/nowhere"), IoError);
  Copy shard("llama");
  fs::remove(shard.path + "/model-00002-of-00004.safetensors");
  CHECK_THROWS_WITH(load_pretrained(shard.path), contains("model-00002-of-00004.safetensors"));
  Copy outside("llama");
  replace(outside.path + "/model.safetensors.index.json", "model-00002-of-00004.safetensors",
          "../elsewhere.safetensors");
  CHECK_THROWS_WITH(load_pretrained(outside.path),
                    contains("a file outside the folder; got '../elsewhere.safetensors'"));

  struct Change {
    const char *model, *what, *by, *said;
  };
  for (const Change& change :
       {Change{"gpt2", "\"gpt2\"", "\"gpt7\"", "\"model_type\" is not known here; got 'gpt7'"},
        Change{"gpt2", "gelu_new", "swish", "\"activation_function\" is not known here; got swish"},
        Change{"gpt2", "\"n_layer\": 2", "\"n_layer\": -2", "\"n_layer\" is out of range; got -2"},
        Change{"gpt2", "\"n_layer\": 2", "\"n_layer\": 1099511627776", "expected at most 10000"},
        Change{"gpt2", "\"n_layer\": 2", "\"n_layer\": \"2\"", "expected a whole number"},
        Change{"gpt2", "\"n_embd\": 32", "\"n_embd\": 33", "dim must be a multiple of heads"},
        Change{"gpt2", "\"n_head\": 4", "\"n_head\": 1e999", "no JSON"},
        Change{"llama", "\"mlp_bias\": false", "\"mlp_bias\": true", "\"mlp_bias\" is true"},
        Change{"rope_yarn", "\"yarn\"", "\"spiral\"", "\"rope_type\" is not known here; got spiral"},
        Change{"rope_yarn", "\"factor\": 4.0", "\"factor\": -4.0", "got factor -4"}}) {
    Copy c(change.model);
    replace(c.path + "/config.json", change.what, change.by);
    INFO(change.what << " -> " << change.by);
    CHECK_THROWS_WITH(load_pretrained(c.path), contains(change.said));
  }
  Copy deep("gpt2");
  std::ofstream(deep.path + "/config.json") << "{\"a\":" << std::string(1 << 20, '[');
  CHECK_THROWS_AS(load_pretrained(deep.path), IoError);
}

TEST_CASE("Llama: options that do not fit, lengths and states", "[llama]") {
  const LlamaOptions small{
      .vocabulary = 11, .context = 9, .dim = 8, .heads = 4, .layers = 2, .kv_heads = 2, .hidden = 12};
  LlamaOptions o = small;
  o.kv_heads = 3;
  CHECK_THROWS_AS(Llama(o), ValueError);
  o = small, o.width = 3;  // pairs are turned
  CHECK_THROWS_AS(Llama(o), ValueError);
  o = small, o.dim = 0;
  CHECK_THROWS_AS(Llama(o), ValueError);

  Llama model(small);
  model.eval();
  NoGrad guard;
  const Tensor ids = randint(0, 11, {2, 9});
  CHECK_THROWS_AS(model.forward(randint(0, 11, {1, 10})), ShapeError);
  CHECK(model.forward(ids.narrow(1, 0, 0)).shape() == Shape{2, 0, 11});
  const Tensor whole = model.forward(ids);
  for (int64_t split : {0, 1, 4, 8}) {
    std::vector<BlockState> states;
    const Tensor first = model.step(ids.narrow(1, 0, split), states),
                 rest = model.step(ids.narrow(1, split, 9 - split), states);
    CHECK(verify::close(cat({first, rest}, 1), whole));
  }
  std::vector<BlockState> of_another(3);
  CHECK_THROWS_AS(model.step(ids, of_another), ValueError);
}

TEST_CASE("Medusa's heads learn beside a checkpoint, which stays as it is", "[pretrained]") {
  const std::string name = GENERATE("gpt2", "llama", "llama_tied");
  INFO(name);
  const Pretrained p = load_pretrained(kModels + name);
  const Tensor ids = of(load_npz(kModels + name + "/expected.npz"), "ids").to(default_device());
  const Tensor before = p.model->forward(ids);
  MedusaHeads heads(*p.model, {.heads = 2});
  CHECK(equal(heads.logits(p.model->features(ids), 1), before));
  Adam optimizer(heads.parameters(), {.lr = 1e-3});
  const Tensor loss = medusa_loss(heads, ids);
  loss.backward();
  optimizer.step();
  CHECK(medusa_loss(heads, ids).item<double>() < loss.item<double>());
  CHECK(equal(p.model->forward(ids), before));
  for (const Tensor& w : p.model->parameters()) CHECK_FALSE(w.grad().defined());
}
