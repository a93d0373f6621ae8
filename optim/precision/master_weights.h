// f32 copies of 16-bit parameters, which the optimizer works on: an update below half a spacing of f16 or bf16 would
// otherwise vanish. Micikevicius et al. 2018, section 3.1.
//
//   MasterWeights masters(model.parameters());            // the model is f16 or bf16
//   AdamW optimizer(masters.parameters(), {.lr = 1e-3});
//   scaler.scale(loss).backward();
//   masters.collect();                                    // the model's gradients, to f32
//   if (scaler.step(optimizer)) masters.publish();        // the masters, rounded into the model
//   scaler.update(); optimizer.zero_grad();
#pragma once
#include <vector>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace ink {

// How f32 becomes f16 or bf16.
enum class Rounding : uint8_t {
  nearest,     // to the nearest number, ties to the even fraction
  stochastic,  // up or down at random, so that the mean is exact: updates survive without masters
};

// x as f16 or bf16: of the two neighbours a <= x <= b, b with probability (x - a) / (b - a) (Gupta et al. 2015). What
// is in the format already, and what is beyond its largest number, stays as rounding to nearest has it. DTypeError
// unless x is f32 and dtype f16 or bf16.
Tensor round_stochastic(const Tensor& x, DType dtype, Generator* generator = nullptr);

class MasterWeights {
 public:
  // Parameters that are f32 or f64 are their own masters. ValueError for none, or for one that is not floating point.
  explicit MasterWeights(const std::vector<Tensor>& params);
  // f32 leaves (and the parameters that need no copy), in the order given.
  const std::vector<Tensor>& parameters() const { return masters_; }
  // Adds the gradients of the 16-bit parameters to those of their masters, in f32, and forgets them: micro-batches add
  // up in f32.
  void collect();
  // The masters rounded into the parameters. After a step that was left out there is nothing to publish.
  void publish(Rounding rounding = Rounding::nearest, Generator* generator = nullptr);
  NamedTensors state_dict() const;  // the masters by number
  // ValueError for missing or unknown names, ShapeError for a different shape; nothing is changed then. The parameters
  // are rounded anew.
  void load_state_dict(const NamedTensors& state);

 private:
  std::vector<Tensor> params_, masters_;
};

}  // namespace ink
