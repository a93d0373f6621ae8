// When a text ends: at a token, or at a string, which may begin in one token and end in another. And what of a text
// that arrives in pieces can be shown already.
//
//   StopStrings stop({"\nUser:"});
//   Utf8Stream characters;
//   for (int64_t token : ...) {
//     show(characters.push(stop.push(bytes_of(token))));
//     if (stop.found()) break;
//   }
//   show(characters.push(stop.finish()) + characters.finish());
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ink {

// The index of the first of `tokens` that is one of `stop`; the number of tokens if there is none. What precedes it is
// the text: a stop token in the middle of an accepted path ends it there.
int64_t first_stop(std::span<const int64_t> tokens, std::span<const int64_t> stop);

// Looks for strings in bytes that arrive in any pieces; where the pieces are cut makes no difference. The text ends at
// the string that is complete first, and of those complete at the same byte at the one that began first.
class StopStrings {
 public:
  // ValueError for an empty string, which would end every text. Without any nothing ends.
  explicit StopStrings(std::vector<std::string> strings = {});

  // Takes the next bytes, and returns those that can be shown now: not what may turn out to be the beginning of a stop
  // string, and nothing from its first byte on. Once one is found, bytes are dropped.
  std::string push(std::string_view bytes);
  // What was held back, once no more bytes come. Empty if a stop string was found.
  std::string finish();

  bool found() const { return begin_ >= 0; }
  int64_t begin() const { return begin_; }  // the byte of the text where the string that was found begins; else -1
  int64_t which() const { return which_; }  // its index among the strings; else -1

 private:
  // One string, by Knuth, Morris & Pratt 1977: the longest beginning of it that the text ends in, kept up to date in
  // constant time a byte.
  struct Search {
    std::string wanted;
    std::vector<int64_t> shorter;  // [i]: the longest proper beginning of wanted that its first i + 1 bytes end in
    int64_t matched = 0;
    void next(char byte);
  };
  std::vector<Search> searches_;
  std::string held_;  // bytes not shown yet
  int64_t seen_ = 0, begin_ = -1, which_ = -1;
};

// Whole characters of a text that arrives in bytes: the bytes of a token may end within a character. Bytes that are no
// UTF-8 pass as they are.
class Utf8Stream {
 public:
  // Takes the next bytes, and returns all but an unfinished character at the end, at most 3 bytes.
  std::string push(std::string_view bytes);
  // The unfinished character, once no more bytes come.
  std::string finish();

 private:
  std::string held_;
};

}  // namespace ink
