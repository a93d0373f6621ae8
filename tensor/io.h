// Files: .npy and .npz (NumPy), safetensors (Hugging Face), IDX (MNIST). All readers treat a file as hostile: sizes are
// checked before anything is allocated, and nothing is half loaded. All writers write a temporary file beside the
// target and rename it, so that a full disk or a killed process leaves the old file intact; what killed ones have left
// in the folder is removed by the next. A new file has owner, group and rights of the old one; one that may not be
// written is not replaced, and of a symbolic link the file that it names is. Errors: IoError naming the file.
// MemoryError with the file's size where memory does not suffice. A packed file can hold a thousand times its size:
// max_bytes bounds what is made of it.
//
// Integers that have no dtype here become the next wider one: i1, i2, u2 (I8, I16, U16) i32, and u4, u8 (U32, U64) i64,
// where a number above i64's largest is an IoError.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace ink {

void save_npy(const std::string& path, const Tensor& x);
Tensor load_npy(const std::string& path);  // versions 1 to 3, C and Fortran order, either byte order
void save_npz(const std::string& path, const NamedTensors& tensors);
// Stored or deflated entries; CRC checked. IoError if they unpack to more than max_bytes together.
NamedTensors load_npz(const std::string& path, int64_t max_bytes = int64_t(1) << 34);

void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const std::vector<std::pair<std::string, std::string>>& metadata = {});
NamedTensors load_safetensors(const std::string& path,
                              std::vector<std::pair<std::string, std::string>>* metadata = nullptr);

// u8, i32, f32, f64; gzip or plain. IoError if the elements are more than max_bytes.
Tensor load_idx(const std::string& path, int64_t max_bytes = int64_t(1) << 34);

std::string read_file(const std::string& path, int64_t max_bytes = int64_t(1) << 34);
// The same, unpacked if it is a gzip file (of one member or several); max_bytes counts what comes out.
std::string read_unpacked(const std::string& path, int64_t max_bytes = int64_t(1) << 32);
void write_file_atomically(const std::string& path, std::string_view contents);

}  // namespace ink
