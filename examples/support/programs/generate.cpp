// ink generate: a checkpoint in a folder writes on, token by token, as it comes. Shows how its parts are put together:
// loader, tokenizer, generation, drafts.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "examples/support/lesson/args.h"
#include "nn/decoding/generate.h"
#include "nn/decoding/pretrained/pretrained.h"
#include "nn/decoding/stop.h"
#include "nn/decoding/tokenizer/tokenizer.h"

using namespace ink;
using namespace ink::lesson;

namespace {

struct Request {
  std::string model, prompt, draft;
  int64_t tokens = 0, lookup = 0, seed = 0;
  DType dtype = f32;
  GenerateOptions options;
};

Request parse(Args& args) {
  Request r;
  r.model = args.path("model", "", "folder with config.json, *.safetensors and a tokenizer (docs/pretrained.md)",
                      Path::existing);
  r.prompt = args.text("prompt", "Light is", "what is written on");
  r.options.max_tokens = args.integer("tokens", 64, "how many at most", 0, 1 << 20);
  const std::string dtype = args.choice("dtype", {"f32", "bf16", "f16"}, "f32", "of the weights");
  r.dtype = dtype == "bf16" ? bf16 : dtype == "f16" ? f16 : f32;
  const double temperature = args.real("temperature", 0, "0: the likeliest token always");
  SamplingOptions sampling;
  sampling.top_k = args.integer("top-k", 0, "draw from the likeliest so many; 0: all", 0);
  sampling.top_p = args.real("top-p", 1, "draw from the fewest tokens with that probability together");
  sampling.min_p = args.real("min-p", 0, "draw from tokens of at least that share of the largest probability");
  sampling.repetition_penalty = args.real("repetition-penalty", 1, "above 1: what was said becomes less likely");
  if (temperature == 0 &&
      (sampling.top_k != 0 || sampling.top_p != 1 || sampling.min_p != 0 || sampling.repetition_penalty != 1))
    throw UsageError("--top-k, --top-p, --min-p and --repetition-penalty choose what is drawn; hint: --temperature 1");
  if (temperature != 0) {
    sampling.temperature = temperature;
    check(sampling);
    r.options.sampling = sampling;
  }
  r.seed = args.integer("seed", 0, "of what is drawn", 0);
  r.lookup = args.integer("lookup", 0, "guess so many tokens ahead from the text before", 0, 64);
  r.draft =
      args.path("draft", "", "folder of a smaller model with the same tokens, which guesses ahead", Path::existing);
  const std::string stop = args.text("stop", "", "a text that ends it");
  if (!stop.empty()) r.options.stop_strings = {stop};
  return r;
}

// The prompt, and after it whole characters as soon as they are certain.
struct Printer final : GenerationListener {
  const Tokenizer& tokenizer;
  std::string prompt;  // not shown yet
  Utf8Stream characters;
  Printer(const Tokenizer& tokenizer, std::string prompt) : tokenizer(tokenizer), prompt(std::move(prompt)) {}
  bool on_tokens(int64_t, const std::vector<int64_t>& tokens) override {
    show(std::exchange(prompt, "") + characters.push(tokenizer.decode(tokens)));
    return true;
  }
  void show(const std::string& text) const {
    fmt::print("{}", text);
    std::fflush(stdout);
  }
};

void run(Request& r) {
  const Tokenizer tokenizer = Tokenizer::load(r.model);
  const Pretrained model = load_pretrained(r.model, {.dtype = r.dtype});
  r.options.bytes = token_bytes([&](int64_t token) { return tokenizer.decode({token}, true); });
  for (const char* end : {"<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "</s>"})
    if (const std::optional<int64_t> id = tokenizer.id(end)) r.options.stop_tokens.push_back(*id);
  Generator generator{uint64_t(r.seed)};
  r.options.generator = &generator;

  std::unique_ptr<Drafter> drafter = std::make_unique<PlainDrafter>();
  std::optional<Pretrained> small;
  if (!r.draft.empty()) {
    small = load_pretrained(r.draft, {.dtype = r.dtype});
    drafter = std::make_unique<ModelDrafter>(*small->model, ModelDrafterOptions{.sampling = r.options.sampling});
  } else if (r.lookup > 0) {
    drafter = std::make_unique<LookupDrafter>(LookupDrafterOptions{.length = r.lookup});
  }
  Printer printer(tokenizer, r.prompt);
  const Generation g = generate(*model.model, {tokenizer.encode(r.prompt)}, r.options, *drafter, &printer);
  printer.show(printer.prompt + printer.characters.finish() + "\n");
  fmt::print(stderr, "{} tokens, {:.1f} a second, {:.2f} a pass; the prompt took {:.2f} s\n", g.rows[0].tokens.size(),
             g.tokens_per_second(), g.tokens_per_step(), g.prefill_seconds);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Args args(argc, argv, "Writes a text on, by a checkpoint in a folder.");
    Request request = parse(args);
    if (args.help()) {
      fmt::print("{}", args.help_page());
      return 0;
    }
    args.check();
    if (request.model.empty()) throw UsageError("--model FOLDER is needed; see --help");
    run(request);
    return 0;
  } catch (const UsageError& e) {
    fmt::print(stderr, "ink generate: {}\n", e.what());
    return 2;
  } catch (const Error& e) {
    fmt::print(stderr, "ink generate: {}\n", e.what());
    return 1;
  }
}
