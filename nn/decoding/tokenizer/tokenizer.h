// Byte-level byte pair encoding, as GPT-2, Llama 3 and many others cut their text: a text becomes pieces by a pattern,
// a piece its bytes, and pairs of neighbours are joined by a list of merges in order. Sennrich et al. 2016,
// arXiv:1508.07909; Radford et al. 2019 (over bytes, so that no text is out of vocabulary).
//
//   Tokenizer t = Tokenizer::load("gpt2");                  // the folder, or its tokenizer.json
//   std::vector<int64_t> ids = t.encode("Light is");
//   std::string text = t.decode(ids);                       // the same bytes
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ink {

struct EncodeOptions {
  bool begin = true;    // puts what the file's template asks for before the text: Llama 3's <|begin_of_text|>
  bool special = true;  // special tokens written in the text become their ids; false: they are text like any other
};

class Tokenizer {
 public:
  // tokenizer.json, or a folder with it, or a folder with vocab.json and merges.txt (with GPT-2's pattern). IoError
  // naming the file for one that is missing, is no JSON or contradicts itself; NotSupported naming the part of one that
  // is no byte-level BPE; NotSupported where this build has no PCRE2 or no JSON reader.
  static Tokenizer load(const std::string& path);

  // Any bytes, valid UTF-8 or not. The ids of the same text in the public implementations.
  std::vector<int64_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // The bytes of the tokens one after the other; special tokens by their names, or left out. IndexError for an id that
  // is not in the vocabulary.
  std::string decode(const std::vector<int64_t>& ids, bool with_special = false) const;

  int64_t size() const;                                     // one more than the largest id
  std::optional<int64_t> id(std::string_view token) const;  // of a token by its bytes, special ones by their names
  bool is_special(int64_t id) const;

 private:
  struct Tables;
  std::shared_ptr<const Tables> tables_;  // never changed: copies share them, threads too
};

}  // namespace ink
