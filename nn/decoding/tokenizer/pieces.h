// Cutting a text into pieces by patterns, before pairs are joined: the pre-tokenizers of tokenizer.json that byte-level
// BPE uses, by PCRE2.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ink {

// A pattern in the syntax that tokenizer.json has, Perl's with \p{..}. Matches do not overlap; what lies between two of
// them is a piece too ("Isolated").
class PiecePattern {
 public:
  // ValueError with the place for a pattern that does not compile.
  explicit PiecePattern(const std::string& pattern);
  // A literal text instead.
  static PiecePattern literal(const std::string& text);
  // Cuts each of the pieces further; they are views of one text. ValueError if matching gives up (a hostile pattern).
  std::vector<std::string_view> cut(const std::vector<std::string_view>& pieces) const;

 private:
  PiecePattern() = default;
  std::shared_ptr<void> code_;
  std::string literal_;
};

// GPT-2's, of its encoder.py: contractions, then letters, numbers and other signs, each with a space before them, then
// spaces, of which the last one stays for the word after.
extern const char* const kGpt2Pattern;

}  // namespace ink
