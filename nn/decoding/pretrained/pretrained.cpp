// From a folder in Hugging Face's layout to a model: the configuration, then the tensors by their names there.
#include "nn/decoding/pretrained/pretrained.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <unordered_map>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/decoding/pretrained/gpt2.h"
#include "nn/decoding/pretrained/json_file.h"
#include "nn/decoding/pretrained/llama.h"
#include "nn/init.h"
#include "tensor/io.h"
#include "tensor/utf8.h"

namespace ink {
namespace {

constexpr const char* kOp = "load_pretrained";

// Where a parameter stands in the files.
struct Place {
  std::string name;
  bool transposed = false;  // GPT-2 stores [in, out]
};
using Places = std::vector<std::pair<std::string, Place>>;  // our name -> place

// ---- configurations

void must_be(const JsonFile& config, bool fits, const char* key, const std::string& what) {
  if (!fits) throw NotSupported(fmt::format("{}: '{}': \"{}\" {}", kOp, config.path(), key, what));
}

int64_t layers_of(const JsonFile& c, const char* key) {
  constexpr int64_t kMost = 10000;  // blocks are made before a weight is read
  const int64_t layers = c.root().integer(key, 1);
  if (layers > kMost) c.fail(fmt::format("\"{}\" is out of range; got {}; expected at most {}", key, layers, kMost));
  return layers;
}

GPT2Options gpt2_options(const JsonFile& c) {
  const JsonValue r = c.root();
  const std::string activation = r.text("activation_function", "gelu_new");
  must_be(c, activation == "gelu_new" || activation == "gelu_pytorch_tanh", "activation_function",
          fmt::format("is not known here; got {}; expected gelu_new", shown(activation)));
  must_be(c, r.boolean("scale_attn_weights", true), "scale_attn_weights", "is false; expected true");
  must_be(c, !r.boolean("scale_attn_by_inverse_layer_idx", false), "scale_attn_by_inverse_layer_idx",
          "is true; expected false");
  must_be(c, r.boolean("tie_word_embeddings", true), "tie_word_embeddings", "is false; expected true");
  return {.vocabulary = r.integer("vocab_size", 1),
          .context = r.integer("n_positions", 1, 1024),
          .dim = r.integer("n_embd", 1),
          .heads = r.integer("n_head", 1),
          .layers = layers_of(c, "n_layer"),
          .hidden = r.integer("n_inner", 0, 0),
          .norm_eps = r.number("layer_norm_epsilon", 1e-5)};
}

// "rope_parameters" holds all of it in newer files, "rope_scaling" and "rope_theta" in older ones.
RopeOptions rope_options(const JsonFile& c, int64_t context) {
  const JsonValue r = c.root();
  const JsonValue newer = r.at("rope_parameters");
  const JsonValue scaling = newer.is_object() ? newer : r.at("rope_scaling");
  RopeOptions o;
  o.base = newer.is_object() ? newer.number("rope_theta", 10000.0) : r.number("rope_theta", 10000.0);
  if (scaling.is_null()) return o;
  const std::string kind = scaling.text("rope_type", scaling.text("type", "default"));
  static const std::map<std::string, RopeScaling> kinds{{"default", RopeScaling::none},
                                                        {"linear", RopeScaling::linear},
                                                        {"dynamic", RopeScaling::dynamic},
                                                        {"yarn", RopeScaling::yarn},
                                                        {"llama3", RopeScaling::llama3}};
  const auto found = kinds.find(kind);
  must_be(c, found != kinds.end(), "rope_type",
          fmt::format("is not known here; got {}; expected default, linear, dynamic, yarn or llama3", shown(kind)));
  o.scaling = found->second;
  if (o.scaling == RopeScaling::none) return o;
  for (const char* key : {"mscale", "mscale_all_dim", "truncate"})
    must_be(c, scaling.at(key).is_null(), key, "is not known here");
  o.factor = scaling.number("factor", 1.0);
  o.original_context = scaling.integer("original_max_position_embeddings", 1, context);
  o.low_frequency = scaling.number("low_freq_factor", 1.0);
  o.high_frequency = scaling.number("high_freq_factor", 4.0);
  o.fast_turns = scaling.number("beta_fast", 32.0);
  o.slow_turns = scaling.number("beta_slow", 1.0);
  o.attention_factor = scaling.number("attention_factor", 0.0);
  return o;
}

LlamaOptions llama_options(const JsonFile& c, const std::string& kind) {
  const JsonValue r = c.root();
  const std::string activation = r.text("hidden_act", "silu");
  must_be(c, activation == "silu", "hidden_act",
          fmt::format("is not known here; got {}; expected silu", shown(activation)));
  must_be(c, !r.boolean("mlp_bias", false), "mlp_bias", "is true; expected false");
  must_be(c, r.at("layer_types").is_null() || !r.boolean("use_sliding_window", false), "layer_types",
          "mixes kinds of attention; expected one kind");
  const int64_t trained = r.integer("max_position_embeddings", 1, 2048);
  const RopeOptions rope = rope_options(c, trained);
  // The file says how long sequences were in training; dynamic angles go on from there.
  const double longer = rope.scaling == RopeScaling::dynamic ? std::max(rope.factor, 1.0) : 1.0;
  const int64_t context = int64_t(std::min(double(trained) * longer, 0x1p40));
  const bool windowed = kind == "mistral" || r.boolean("use_sliding_window", false);
  return {.vocabulary = r.integer("vocab_size", 1),
          .context = context,
          .dim = r.integer("hidden_size", 1),
          .heads = r.integer("num_attention_heads", 1),
          .layers = layers_of(c, "num_hidden_layers"),
          .kv_heads = r.integer("num_key_value_heads", 0, 0),
          .width = r.integer("head_dim", 0, 0),
          .hidden = r.integer("intermediate_size", 1),
          .norm_eps = r.number("rms_norm_eps", 1e-6),
          .rope = rope,
          .window = windowed ? r.integer("sliding_window", 0, 0) : 0,
          .tied = r.boolean("tie_word_embeddings", false),
          .attention_bias = r.boolean("attention_bias", false),
          .query_key_value_bias = kind == "qwen2"};
}

// ---- names

using Renamed = std::vector<std::pair<const char*, const char*>>;  // beginning or part of a name: ours, theirs

std::string renamed(std::string name, const Renamed& table) {
  for (const auto& [ours, theirs] : table)
    if (const size_t at = name.find(ours); at != std::string::npos)
      name.replace(at, std::char_traits<char>::length(ours), theirs);
  return name;
}

Places gpt2_places(CausalLM& model) {
  static const Renamed table{{"tokens.", "wte."},
                             {"positions.", "wpe."},
                             {"blocks.", "h."},
                             {"norm1.", "ln_1."},
                             {"norm2.", "ln_2."},
                             {"attention.qkv.", "attn.c_attn."},
                             {"attention.out.", "attn.c_proj."},
                             {".up.", ".mlp.c_fc."},
                             {".down.", ".mlp.c_proj."}};
  Places places;
  for (const auto& [name, p] : model.state_dict()) {
    const std::string theirs = name.starts_with("norm.") ? "ln_f." + name.substr(5) : renamed(name, table);
    places.push_back({name, {theirs, theirs.find(".c_") != std::string::npos && p.dim() == 2}});
  }
  return places;
}

Places llama_places(CausalLM& model) {
  static const Renamed table{{"blocks.", "layers."},
                             {"norm1.", "input_layernorm."},
                             {"norm2.", "post_attention_layernorm."},
                             {"attention.query.", "self_attn.q_proj."},
                             {"attention.key.", "self_attn.k_proj."},
                             {"attention.value.", "self_attn.v_proj."},
                             {"attention.out.", "self_attn.o_proj."},
                             {"feed_forward.gate.", "mlp.gate_proj."},
                             {"feed_forward.up.", "mlp.up_proj."},
                             {"feed_forward.down.", "mlp.down_proj."},
                             {"tokens.", "embed_tokens."}};
  Places places;
  for (const auto& [name, p] : model.state_dict())
    places.push_back({name, {name == "head.weight" ? "lm_head.weight" : "model." + renamed(name, table), false}});
  return places;
}

// Tensors that checkpoints carry though the model computes them: masks, and a head that shares the embedding's weights.
bool is_needless(const std::string& name, bool tied) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") || name.ends_with("rotary_emb.inv_freq") ||
         (tied && name == "lm_head.weight");
}

// ---- files

std::vector<std::string> weight_files(const std::string& folder) {
  const std::string single = folder + "/model.safetensors", index = folder + "/model.safetensors.index.json";
  const auto there = [](const std::string& path) { return std::ifstream(path).good(); };
  if (there(single) || !there(index)) return {single};
  const JsonFile file(kOp, index);
  const JsonValue map = file.root().at("weight_map");
  if (!map.is_object() || map.members().empty()) file.fail("\"weight_map\" is missing or empty");
  std::set<std::string> names;
  for (const auto& [tensor, value] : map.members()) {
    const std::string name = value.as_text("weight_map");
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
      file.fail(fmt::format("\"weight_map\": a file outside the folder; got '{}'", shown(name)));
    names.insert(name);
  }
  std::vector<std::string> files;
  for (const std::string& name : names) files.push_back(folder + "/" + name);
  return files;
}

Tensor fitting(const Tensor& t, const Place& place, const PretrainedOptions& o) {
  NoGrad guard;
  Tensor x = place.transposed ? t.t() : t;
  return x.to(o.device).to(o.dtype).contiguous();
}

void read_weights(Pretrained& made, const std::string& folder, const Places& places, bool tied,
                  const PretrainedOptions& options) {
  std::unordered_map<std::string, const std::pair<std::string, Place>*> wanted;
  for (const auto& entry : places) wanted.emplace(entry.second.name, &entry);
  const NamedTensors state = made.model->state_dict();
  std::unordered_map<std::string, Shape> shapes;
  for (const auto& [name, t] : state) shapes.emplace(name, t.shape());

  NamedTensors found;
  std::vector<std::string> other_shape;
  std::set<std::string> seen;
  for (const std::string& path : weight_files(folder)) {
    NamedTensors shard = load_safetensors(path);
    for (auto& [full, tensor] : shard) {
      const std::string name = full.starts_with("transformer.") ? full.substr(12) : full;
      const auto it = wanted.find(name);
      if (it == wanted.end()) {
        if (!is_needless(name, tied)) made.left_over.push_back(full);
        continue;
      }
      const auto& [ours, place] = *it->second;
      if (!seen.insert(name).second)
        throw ValueError(fmt::format("{}: '{}': a tensor comes twice; got '{}'", kOp, path, shown(full)));
      const Shape& expected = shapes.at(ours);
      const Shape got = place.transposed && tensor.dim() == 2 ? Shape{tensor.size(1), tensor.size(0)} : tensor.shape();
      if (!(got == expected))
        other_shape.push_back(fmt::format("{} {} (expected {})", full, got.str(), expected.str()));
      else if (!is_floating(tensor.dtype()))
        other_shape.push_back(fmt::format("{} of {} (expected floating point)", full, name_of(tensor.dtype())));
      else
        found.emplace_back(ours, fitting(tensor, place, options));
      tensor = Tensor();  // what was converted is let go at once
    }
  }
  std::vector<std::string> missing;
  for (const auto& [ours, place] : places)
    if (!seen.contains(place.name)) missing.push_back(place.name);
  if (!missing.empty() || !other_shape.empty())
    throw ValueError(
        fmt::format("{}: '{}': the weights do not fit the configuration; missing:{}; left over:{}; of another "
                    "shape:{}",
                    kOp, folder, shown(missing), shown(made.left_over), shown(other_shape)));
  made.model->adopt_state_dict(found);
}

}  // namespace

Pretrained load_pretrained(const std::string& folder, const PretrainedOptions& options) {
  if (!is_floating(options.dtype))
    throw DTypeError(fmt::format("{}: got dtype {}; expected a floating point one", kOp, name_of(options.dtype)));
  const JsonFile config(kOp, folder + "/config.json");
  Pretrained made;
  made.architecture = config.root().text("model_type");
  Places places;
  bool tied = true;
  {
    init::Skip skip;
    if (made.architecture == "gpt2") {
      made.model = std::make_unique<GPT2>(gpt2_options(config));
      places = gpt2_places(*made.model);
    } else if (made.architecture == "llama" || made.architecture == "mistral" || made.architecture == "qwen2") {
      LlamaOptions o = llama_options(config, made.architecture);
      tied = o.tied;
      made.model = std::make_unique<Llama>(o);
      places = llama_places(*made.model);
    } else {
      throw NotSupported(
          fmt::format("{}: '{}': \"model_type\" is not known here; got '{}'; expected gpt2, llama, mistral or qwen2",
                      kOp, config.path(), shown(made.architecture)));
    }
  }
  read_weights(made, folder, places, tied, options);
  made.model->eval();
  return made;
}

}  // namespace ink
