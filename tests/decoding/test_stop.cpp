// Stop strings and characters, however the text is cut into pieces.
#include "nn/decoding/stop.h"

#include "tensor/error.h"
#include "tests/catch.h"

using namespace ink;
using std::string;

namespace {

struct Outcome {
  string shown;
  int64_t begin, which;
  bool operator==(const Outcome&) const = default;
};

// The text in pieces: a cut before byte i where bit i - 1 of `cuts` is set.
std::vector<string> pieces(const string& text, uint64_t cuts) {
  std::vector<string> all(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (i > 0 && (cuts >> (i - 1) & 1)) all.emplace_back();
    all.back() += text[i];
  }
  return all;
}
Outcome run(const std::vector<string>& stops, const string& text, uint64_t cuts) {
  StopStrings stop(stops);
  string shown;
  for (const string& piece : pieces(text, cuts)) {
    shown += stop.push(piece);
    // What is shown is never taken back: it is a beginning of the text before the stop.
    CHECK(text.compare(0, shown.size(), shown) == 0);
  }
  shown += stop.finish();
  CHECK(stop.push("more") == (stop.found() ? "" : "more"));
  return {shown, stop.begin(), stop.which()};
}
// The same, from the definition: the first end at which a string is complete, of those the longest.
Outcome expected(const std::vector<string>& stops, const string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    Outcome best{text, -1, -1};
    for (size_t i = 0; i < stops.size(); ++i) {
      const string& s = stops[i];
      if (s.size() > end || text.compare(end - s.size(), s.size(), s) != 0) continue;
      if (best.which >= 0 && s.size() <= stops[size_t(best.which)].size()) continue;
      best = {text.substr(0, end - s.size()), int64_t(end - s.size()), int64_t(i)};
    }
    if (best.which >= 0) return best;
  }
  return {text, -1, -1};
}

}  // namespace

TEST_CASE("stop tokens end a list of tokens at the first of them", "[stop]") {
  const std::vector<int64_t> tokens{5, 0, 7, 3, 7};
  CHECK(first_stop(tokens, std::vector<int64_t>{7, 9}) == 2);
  CHECK(first_stop(tokens, std::vector<int64_t>{0}) == 1);
  CHECK(first_stop(tokens, std::vector<int64_t>{8}) == 5);
  CHECK(first_stop(tokens, {}) == 5);
  CHECK(first_stop({}, std::vector<int64_t>{7}) == 0);
}

TEST_CASE("a stop string is found wherever the text is cut", "[stop]") {
  const std::vector<string> stops =
      GENERATE(std::vector<string>{"stop"}, std::vector<string>{"aab"}, std::vector<string>{"abcd", "bc"},
               std::vector<string>{"bc", "abc"}, std::vector<string>{"aa", "ab", "b"},
               std::vector<string>{"abab", "baba"}, std::vector<string>{"abc", "abc", "c"}, std::vector<string>{});
  for (const string text : {"xaaab", "abababc", "no end", "nonstop!", "xabcd", "xabce", "sstostop", "b", "", "aaabaa"})
    for (uint64_t cuts = 0; cuts < (uint64_t(1) << (text.empty() ? 0 : text.size() - 1)); ++cuts) {
      INFO(text << ", cuts " << cuts);
      CHECK(run(stops, text, cuts) == expected(stops, text));
    }
}

TEST_CASE("every text of up to 7 letters ends where the definition says", "[stop]") {
  const std::vector<string> stops =
      GENERATE(std::vector<string>{"aab"}, std::vector<string>{"abab", "ba"}, std::vector<string>{"aabaa", "bb"});
  for (int length = 0, count = 1; length <= 7; ++length, count *= 3)
    for (int number = 0; number < count; ++number) {
      string text;
      for (int i = 0, rest = number; i < length; ++i, rest /= 3) text += char('a' + rest % 3);
      const Outcome right = expected(stops, text);
      const bool same = run(stops, text, 0) == right && run(stops, text, ~uint64_t(0)) == right;
      if (!same) FAIL_CHECK(text);
    }
}

TEST_CASE("what may begin a stop string is held back, and not more", "[stop]") {
  StopStrings stop({"\nUser:", "###"});
  CHECK(stop.push("one\n") == "one");
  CHECK(stop.push("Us") == "");
  CHECK(stop.push("ual #") == "\nUsual ");
  CHECK(stop.push("#") == "");
  CHECK(stop.push("\n") == "##");
  CHECK_FALSE(stop.found());
  CHECK(stop.begin() == -1);
  CHECK(stop.push("Use") == "");
  CHECK(stop.push("r: hello") == "");
  CHECK(stop.found());
  CHECK(stop.begin() == 12);  // after one\nUsual ##
  CHECK(stop.which() == 0);
  CHECK(stop.push("###") == "");
  CHECK(stop.finish() == "");

  StopStrings unfinished({"###"});
  CHECK(unfinished.push("a##") == "a");
  CHECK(unfinished.finish() == "##");
  CHECK(unfinished.finish() == "");
}

TEST_CASE("an empty stop string is refused", "[stop]") {
  CHECK_THROWS_AS(StopStrings({"a", ""}), ValueError);
  CHECK_THROWS_WITH(StopStrings({"a", ""}), contains("string 1 is empty"));
}

TEST_CASE("a long stop string in a text of its beginnings takes no time", "[stop]") {
  StopStrings stop({string(100000, 'a') + "b"});
  CHECK(stop.push(string(1000000, 'a')).size() == 900000);
  CHECK(stop.push("b") == "");
  CHECK(stop.begin() == 900000);
}

TEST_CASE("characters are shown whole, wherever they are cut", "[stop]") {
  const string text = "a\u00e9\u20ac\U0001f600z";  // 1, 2, 3, 4 and 1 bytes
  for (uint64_t cuts = 0; cuts < 1u << (text.size() - 1); ++cuts) {
    Utf8Stream stream;
    string shown;
    for (const string& piece : pieces(text, cuts)) {
      shown += stream.push(piece);
      CHECK((shown == "" || shown == "a" || shown == "a\u00e9" || shown == "a\u00e9\u20ac" ||
             shown == "a\u00e9\u20ac\U0001f600" || shown == text));
    }
    CHECK(shown == text);
    CHECK(stream.finish() == "");
  }
}

TEST_CASE("only what can become a character is held back", "[stop]") {
  struct Case {
    string bytes;
    size_t held;
  };
  // what the first byte announces; overlong forms, surrogates, beyond U+10FFFF, lone continuations
  for (const auto& [bytes, held] :
       {Case{"\xc3", 1}, {"\xe2\x82", 2},     {"\xf0\x9f\x98", 3}, {"\xe0\xa0", 2},     {"\xf4\x8f", 2},
        {"\xed\x9f", 2}, {"\xe0", 1},         {"\xed", 1},         {"\xf0", 1},         {"\xf4", 1},
        {"\xc0", 0},     {"\xe0\x9f", 0},     {"\xed\xa0", 0},     {"\xf4\x90", 0},     {"\xf5", 0},
        {"\x80", 0},     {"\xbf\xbf\xbf", 0}, {"\xff", 0},         {"\xf0\x8f\xbf", 0}, {"a", 0},
        {"", 0}}) {
    Utf8Stream stream;
    INFO(bytes.size() << " bytes, the first " << (bytes.empty() ? 0 : int(uint8_t(bytes[0]))));
    CHECK(stream.push("x" + bytes).size() == 1 + bytes.size() - held);
    CHECK(stream.finish().size() == held);
  }
  Utf8Stream stream;  // invalid bytes pass in their place
  CHECK(stream.push("\xe2\x82") == "");
  CHECK(stream.push("(") == "\xe2\x82(");
  CHECK(stream.push("\xe2") == "");
  CHECK(stream.push("\xe2") == "\xe2");
  CHECK(stream.push("\x82\xac") == "\u20ac");
}
