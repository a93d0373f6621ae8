// Text as character ids, for language models over characters.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace ink {

class CharText {
 public:
  // The vocabulary is the characters (code points) that occur, in their order; ids count from 0.
  // ValueError naming the byte offset if the text is not UTF-8.
  explicit CharText(std::string_view utf8);
  // Plain or gzip. IoError naming the file, and the byte if it is not UTF-8, or if it has more than max_bytes unpacked.
  static CharText load(const std::string& path, int64_t max_bytes = int64_t(1) << 32);

  int64_t vocabulary() const { return int64_t(characters_.size()); }
  const Tensor& ids() const { return ids_; }    // the text, [characters] i64
  Tensor encode(std::string_view utf8) const;   // ValueError for a character that is not in the vocabulary
  std::string decode(const Tensor& ids) const;  // [n] integers; IndexError outside the vocabulary

 private:
  std::vector<char32_t> characters_;  // sorted
  Tensor ids_;
};

// The first `fraction` of the ids for training and the rest for testing, without copies.
std::pair<Tensor, Tensor> split_text(const Tensor& ids, double fraction);

// Windows at random places: inputs [batch, length], and as targets the character after each, [batch, length]; both i64.
// ValueError if ids has not more than `length` characters.
std::pair<Tensor, Tensor> random_windows(const Tensor& ids, int64_t batch, int64_t length, Generator& generator);

}  // namespace ink
