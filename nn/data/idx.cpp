// MNIST and its relatives: images and labels from IDX files.
#include "nn/data/idx.h"

#include <fmt/format.h>

#include <filesystem>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "tensor/io.h"
#include "tensor/utf8.h"

namespace ink {
namespace {

Tensor load_part(const std::string& folder, const std::string& name, int dims) {
  std::string path = (std::filesystem::path(folder) / name).string();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) path += ".gz";
  Tensor x = load_idx(path);
  if (x.dtype() != u8 || x.dim() != dims)
    throw IoError(fmt::format("load_idx_images: '{}': got {} of shape {}; expected u8 with {} dims", shown(path),
                              name_of(x.dtype()), x.shape().str(), dims));
  return x;
}

}  // namespace

TensorDataset load_idx_images(const std::string& folder, const std::string& name, double white) {
  NoGrad guard;
  Tensor images = load_part(folder, name + "-images-idx3-ubyte", 3),
         labels = load_part(folder, name + "-labels-idx1-ubyte", 1);
  if (images.size(0) != labels.size(0))
    throw IoError(fmt::format("load_idx_images: '{}/{}': got {} images and {} labels; expected as many", shown(folder),
                              shown(name), images.size(0), labels.size(0)));
  if (white == 0 && images.numel() > 0) white = images.max().item();
  return TensorDataset({images.unsqueeze(1).to(f32) / (white > 0 ? white : 1), labels.to(i64)});
}

}  // namespace ink
