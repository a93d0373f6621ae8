// Checkpoints in Hugging Face's layout: a folder with config.json and model.safetensors, or several such files and
// model.safetensors.index.json. docs/pretrained.md shows how to run one.
//
//   Pretrained p = load_pretrained("gpt2");                 // the folder
//   Tensor logits = p.model->forward(ids);
#pragma once
#include <memory>
#include <string>

#include "nn/models/causal_lm.h"

namespace ink {

struct PretrainedOptions {
  DType dtype = f32;  // of the parameters: f32, f16, bf16 or f64, whatever the file has
  Device device = default_device();
};

struct Pretrained {
  std::unique_ptr<CausalLM> model;     // in eval mode
  std::string architecture;            // config.json's model_type: gpt2, llama, mistral, qwen2
  std::vector<std::string> left_over;  // names of tensors that the model has no place for; empty for a whole match
};

// Reads a GPT-2, or a model of Llama's shape. Where dtype and device are those of the file, the weights stand in memory
// once. IoError naming the file for one that is missing, is no JSON or lies outside the folder; NotSupported naming the
// key of a configuration that these models cannot follow; ValueError listing all names that are missing, left over or
// of another shape, if one is missing or of another shape.
Pretrained load_pretrained(const std::string& folder, const PretrainedOptions& options = {});

}  // namespace ink
