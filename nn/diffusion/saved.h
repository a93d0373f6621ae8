// A denoiser in one file: the network's weights, and beside them which process it was trained for and which
// preconditioner stands before it. Flags that have to be typed again when a checkpoint is sampled from get typed wrong,
// and the result is noise; here the file knows, and what does not fit is refused.
#pragma once
#include <memory>
#include <string>

#include "nn/diffusion/precondition.h"
#include "nn/module.h"

namespace ink::diffusion {

// What a file says of its network.
struct SavedFrame {
  std::unique_ptr<Process> process;
  std::unique_ptr<Preconditioner> preconditioner;
};

// Weights, process and preconditioner in one safetensors file. NotSupported for a process or preconditioner of one's
// own whose name() the library could not make again.
void save_denoiser(const std::string& path, Module& network, const Process& process,
                   const Preconditioner& preconditioner);
// Loads the weights into `network` and returns the frame they belong to: sample with that. ValueError if the file holds
// no denoiser, or other parameters than the network has; nothing is changed then.
SavedFrame load_denoiser(const std::string& path, Module& network);
// The same for a program that has its process and preconditioner already: ValueError naming both sides unless the
// file's are the same, with equal constants.
void load_denoiser(const std::string& path, Module& network, const Process& process,
                   const Preconditioner& preconditioner);

}  // namespace ink::diffusion
