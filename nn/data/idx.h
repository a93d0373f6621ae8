// Labelled pictures in IDX files: MNIST, Fashion-MNIST and the digits in examples/data.
#pragma once
#include <string>

#include "nn/data/dataset.h"

namespace ink {

// Reads folder/NAME-images-idx3-ubyte and folder/NAME-labels-idx1-ubyte, each plain or with .gz. NAME is "train" or
// "t10k" for MNIST, "digits" for the shipped ones. Images are [n, 1, h, w] f32 in [0, 1] (divided by `white`; 0: by the
// largest pixel of the file), labels [n] i64. IoError if a file is missing, is not of that form, or the counts differ.
TensorDataset load_idx_images(const std::string& folder, const std::string& name, double white = 0);

}  // namespace ink
