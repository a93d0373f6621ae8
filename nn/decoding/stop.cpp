// Stop strings by one automaton each, and characters cut by tokens.
#include "nn/decoding/stop.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tensor/error.h"
#include "tensor/utf8.h"

namespace ink {

int64_t first_stop(std::span<const int64_t> tokens, std::span<const int64_t> stop) {
  return std::find_first_of(tokens.begin(), tokens.end(), stop.begin(), stop.end()) - tokens.begin();
}

void StopStrings::Search::next(char byte) {
  while (matched > 0 && wanted[size_t(matched)] != byte) matched = shorter[size_t(matched - 1)];
  if (wanted[size_t(matched)] == byte) ++matched;
}

StopStrings::StopStrings(std::vector<std::string> strings) {
  for (size_t i = 0; i < strings.size(); ++i) {
    if (strings[i].empty())
      throw ValueError(
          fmt::format("StopStrings: string {} is empty; expected at least one byte; hint: it would end "
                      "every text at once",
                      i));
    Search search{std::move(strings[i]), {0}};
    for (size_t at = 1; at < search.wanted.size(); ++at) {  // the string sought in itself
      search.next(search.wanted[at]);
      search.shorter.push_back(search.matched);
    }
    search.matched = 0;
    searches_.push_back(std::move(search));
  }
}

std::string StopStrings::push(std::string_view bytes) {
  for (char byte : bytes) {
    if (found()) return {};
    held_ += byte, ++seen_;
    int64_t longest = 0;  // of the strings that are complete
    for (size_t i = 0; i < searches_.size(); ++i) {
      searches_[i].next(byte);
      const int64_t length = searches_[i].matched;
      if (length < int64_t(searches_[i].wanted.size()) || length <= longest) continue;
      longest = length, which_ = int64_t(i), begin_ = seen_ - length;
    }
    if (!found()) continue;
    held_.erase(held_.size() - size_t(longest));
    return std::exchange(held_, {});
  }
  int64_t back = 0;
  for (const Search& search : searches_) back = std::max(back, search.matched);
  std::string free = held_.substr(0, held_.size() - size_t(back));
  held_.erase(0, free.size());
  return free;
}

std::string StopStrings::finish() {
  for (Search& search : searches_) search.matched = 0;
  return std::exchange(held_, {});
}

// Whether s is the beginning of a character that is not complete: bytes 0x80 or 0xbf complete one that can be.
static bool is_unfinished(std::string_view s) {
  if (s.empty() || decode_utf8(s, 0).bytes != 0) return false;
  for (char byte : {'\x80', '\xbf'})
    for (size_t more = 1; more <= 3; ++more) {
      const std::string whole = std::string(s) + std::string(more, byte);
      if (decode_utf8(whole, 0).bytes == int(whole.size())) return true;
    }
  return false;
}

std::string Utf8Stream::push(std::string_view bytes) {
  std::string text = std::exchange(held_, {}) + std::string(bytes);
  for (size_t length = std::min<size_t>(3, text.size()); length > 0; --length)
    if (is_unfinished(std::string_view(text).substr(text.size() - length))) {
      held_ = text.substr(text.size() - length);
      text.erase(text.size() - length);
      break;
    }
  return text;
}

std::string Utf8Stream::finish() { return std::exchange(held_, {}); }

}  // namespace ink
