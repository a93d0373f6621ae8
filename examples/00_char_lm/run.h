// All that a training run consists of, and how it is saved and loaded.
#pragma once
#include <string>

#include "include/inkstone/ink.h"
#include "nn/state.h"

namespace ink::lesson {

// All that a run consists of, so that one stopped and resumed equals one that was not.
struct Run {
  GPT model;
  AdamW optimizer;
  Scheduler schedule;
  Generator windows;  // where the training windows begin
  int64_t step = 0;

  Run(const GPTOptions& gpt, const Options& options, const AdamWOptions& adam, const Cosine& rate, uint64_t seed)
      : model(gpt), optimizer(model.parameters(), adam), schedule(optimizer, rate), windows(seed) {
    model.to(options.device), model.to(is_half(options.dtype) ? f32 : options.dtype);
  }
  void save(const std::string& path) {
    save_safetensors(path, merge_states({{"model", model.state_dict()},
                                         {"optimizer", optimizer.state_dict()},
                                         {"schedule", schedule.state_dict()},
                                         {"run",
                                          {{"windows", generator_state(windows)},
                                           {"random", generator_state(default_generator())},
                                           {"step", integer_state(step)}}}}));
  }
  void load(const std::string& path) {
    load_run(load_safetensors(path), {{"model", model},
                                      {"optimizer", optimizer},
                                      {"schedule", schedule},
                                      {"run.windows", windows},
                                      {"run.random", default_generator()},
                                      {"run.step", step}});
  }
};

}  // namespace ink::lesson
