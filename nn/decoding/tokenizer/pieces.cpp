// Patterns by PCRE2, with Unicode classes, over bytes that need not be UTF-8.
#include "nn/decoding/tokenizer/pieces.h"

#include <fmt/format.h>

#include "tensor/error.h"
#if INK_TOKENIZER
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#endif

namespace ink {

const char* const kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

#if INK_TOKENIZER
namespace {

std::string message_of(int error) {
  char text[256] = "";
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
  return text;
}

}  // namespace

PiecePattern::PiecePattern(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &error, &at, nullptr);
  if (!code)
    throw ValueError(fmt::format("Tokenizer: the pattern does not compile: {}; at character {} of {}",
                                 message_of(error), at, pattern.size()));
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // faster where it can; matching works without
  code_ = std::shared_ptr<void>(code, [](void* c) { pcre2_code_free(static_cast<pcre2_code*>(c)); });
}

std::vector<std::string_view> PiecePattern::cut(const std::vector<std::string_view>& pieces) const {
  std::vector<std::string_view> out;
  auto keep = [&](std::string_view piece) {
    if (!piece.empty()) out.push_back(piece);
  };
  if (!code_) {
    for (std::string_view piece : pieces) {
      for (size_t at; (at = piece.find(literal_)) != std::string_view::npos; piece.remove_prefix(at + literal_.size()))
        keep(piece.substr(0, at)), keep(piece.substr(at, literal_.size()));
      keep(piece);
    }
    return out;
  }
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> match(
      pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free);
  for (std::string_view piece : pieces) {
    size_t kept = 0, from = 0;
    while (from < piece.size()) {
      const int found =
          pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(), from, 0, match.get(), nullptr);
      if (found == PCRE2_ERROR_NOMATCH) break;
      if (found < 0) throw ValueError(fmt::format("Tokenizer: the pattern gave up: {}", message_of(found)));
      const PCRE2_SIZE* span = pcre2_get_ovector_pointer(match.get());
      if (span[1] <= span[0]) {  // an empty match cuts nothing
        from = span[1] + 1;
        continue;
      }
      keep(piece.substr(kept, span[0] - kept));
      keep(piece.substr(span[0], span[1] - span[0]));
      kept = from = span[1];
    }
    keep(piece.substr(kept));
  }
  return out;
}
#else
PiecePattern::PiecePattern(const std::string&) {
  throw NotSupported(
      "Tokenizer: this build has no PCRE2; hint: install libpcre2-dev and nlohmann-json3-dev, then build again");
}
std::vector<std::string_view> PiecePattern::cut(const std::vector<std::string_view>& pieces) const { return pieces; }
#endif

PiecePattern PiecePattern::literal(const std::string& text) {
  if (text.empty()) throw ValueError("Tokenizer: an empty text to cut at");
  PiecePattern p;
  p.literal_ = text;
  return p;
}

}  // namespace ink
