// Recording a step as a CUDA graph.
#pragma once
#include <memory>

#include "tensor/runtime/cuda_backend.h"

namespace ink::cuda {

// Runs step() while the device's stream records; what CudaGraph (tensor/capture.h) keeps.
std::unique_ptr<CudaGraph::State> capture_step(FunctionRef<void()> step, Device device);

}  // namespace ink::cuda
