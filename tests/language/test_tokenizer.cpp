// Byte pair encoding against the public implementation: 10,000 strings of awkward pieces, any bytes there and back,
// and files that are wrong.
#include "nn/decoding/tokenizer/tokenizer.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "nn/decoding/pretrained/json_file.h"
#include "nn/decoding/tokenizer/merges.h"
#include "tensor/error.h"
#include "tests/catch.h"
#include "tests/support/temporary.h"

using namespace ink;
namespace fs = std::filesystem;

namespace {

const std::string kGolden = std::string(INK_SOURCE_DIR) + "/tests/golden/language_models/";

// The numbers and strings of language_models.py.
struct Lcg {
  uint64_t state = 12345;
  uint64_t next() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return state >> 33;
  }
};
uint64_t fingerprint(const std::vector<int64_t>& ids, uint64_t value) {
  auto put = [&](uint64_t i) {
    for (int byte = 0; byte < 4; ++byte) value = (value ^ (i >> 8 * byte & 255)) * 1099511628211ull;
  };
  for (int64_t i : ids) put(uint64_t(i));
  put(0xffffffffu);
  return value;
}

std::vector<std::string> texts_of(const JsonValue& list) {
  std::vector<std::string> out;
  for (const JsonValue& v : list.elements()) out.push_back(v.as_text("text"));
  return out;
}
std::vector<int64_t> ids_of(const JsonValue& list) {
  std::vector<int64_t> out;
  for (const JsonValue& v : list.elements()) out.push_back(v.as_integer("id"));
  return out;
}

struct Written {
  ink::test::TemporaryFolder folder;
  std::string path = folder / "tokenizer.json";
  explicit Written(const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
};
std::string golden_text(const std::string& name) {
  std::stringstream s;
  s << std::ifstream(kGolden + name, std::ios::binary).rdbuf();
  return s.str();
}

}  // namespace

TEST_CASE("ids are those of the public implementation, for 10,000 strings", "[tokenizer]") {
  const std::string name = GENERATE("bpe_gpt2", "bpe_llama3");
  INFO(name);
  const Tokenizer t = Tokenizer::load(kGolden + name);
  const JsonFile expected("test", kGolden + name + "/expected.json");
  const std::vector<std::string> texts = texts_of(expected.root().at("texts"));
  const std::vector<JsonValue> ids = expected.root().at("ids").elements();
  for (size_t i = 0; i < texts.size(); ++i) {
    INFO(texts[i]);
    CHECK(t.encode(texts[i]) == ids_of(ids[i]));
  }
  const std::vector<std::string> pieces = texts_of(expected.root().at("pieces")),
                                 prints = texts_of(expected.root().at("fingerprints"));
  Lcg numbers;
  uint64_t value = 14695981039346656037ull;
  for (size_t i = 0; i < 10000; ++i) {
    if (i % 100 == 0) value = 14695981039346656037ull;
    const uint64_t count = 1 + numbers.next() % 12;
    std::string text;
    for (uint64_t k = 0; k < count; ++k) text += pieces[numbers.next() % pieces.size()];
    const std::vector<int64_t> got = t.encode(text);
    value = fingerprint(got, value);
    if (t.decode(got, true) != (name == "bpe_llama3" ? "<|begin|>" : "") + text) FAIL(text);
    if (i % 100 == 99) {
      INFO("strings up to " << i);
      char hex[17];
      std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(value));
      CHECK(hex == prints[i / 100]);
    }
  }
}

TEST_CASE("vocab.json with merges.txt is the same tokenizer", "[tokenizer]") {
  ink::test::TemporaryFolder folder;
  for (const char* file : {"vocab.json", "merges.txt"}) fs::copy_file(kGolden + "bpe_gpt2/" + file, folder / file);
  const Tokenizer one = Tokenizer::load(kGolden + "bpe_gpt2"), two = Tokenizer::load(folder / "");
  for (const char* text : {"The light's rays, 1704: don't!", "  spaces \n\n and\ttabs ", "na\u00efve \u4e2d\u6587"})
    CHECK(one.encode(text) == two.encode(text));
}

TEST_CASE("any bytes come back as they were", "[tokenizer]") {
  const Tokenizer t = Tokenizer::load(kGolden + GENERATE("bpe_gpt2", "bpe_llama3"));
  Lcg numbers;
  for (int i = 0; i < 500; ++i) {
    std::string bytes;
    for (uint64_t n = numbers.next() % 40; n > 0; --n) bytes += char(numbers.next() % 256);
    CHECK(t.decode(t.encode(bytes, {.begin = false})) == bytes);
  }
  CHECK(t.encode("", {.begin = false}).empty());
  const std::string invalid = "light \xff\xfe \xe2\x82 rays";  // bytes that are no UTF-8, a sign cut off
  CHECK(t.decode(t.encode(invalid, {.begin = false})) == invalid);
}

TEST_CASE("special tokens are one id, or text if the caller says so", "[tokenizer]") {
  const Tokenizer t = Tokenizer::load(kGolden + "bpe_llama3");
  CHECK(t.encode("a<|end|>b") == std::vector<int64_t>{0, *t.id("a"), 1, *t.id("b")});
  const std::vector<int64_t> plain = t.encode("a<|end|>b", {.begin = false, .special = false});
  for (int64_t id : plain) CHECK_FALSE(t.is_special(id));
  CHECK(t.decode(plain) == "a<|end|>b");
  CHECK(t.decode({0, *t.id("a"), 1}) == "a");
  CHECK(t.decode({0, *t.id("a"), 1}, true) == "<|begin|>a<|end|>");
  CHECK_THROWS_AS(t.decode({t.size()}), IndexError);
  CHECK_THROWS_AS(t.decode({-1}), IndexError);
  CHECK(t.id("no such token at all") == std::nullopt);
}

TEST_CASE("merges: first in the list, then from the left; long runs take no quadratic time", "[tokenizer]") {
  Merges m;
  m.add(1, 1, 2), m.add(2, 1, 3), m.add(2, 2, 4);
  std::vector<int64_t> s{1, 1, 1, 1, 1};
  m.apply(s);  // 11 11 1 -> 2 2 1 -> 2 3: "2 1" comes before "2 2"
  CHECK(s == std::vector<int64_t>{2, 3});
  s = {}, m.apply(s);
  CHECK(s.empty());
  s = {7}, m.apply(s);
  CHECK(s == std::vector<int64_t>{7});
  s.assign(1 << 18, 1);
  m.apply(s);
  CHECK(s.size() == 1 << 16);  // 4 4 4 ...
}

TEST_CASE("files that are wrong, or of another kind, are refused with their part named", "[tokenizer]") {
  CHECK_THROWS_AS(Tokenizer::load("/nowhere"), IoError);
  const std::string good = golden_text("bpe_gpt2/tokenizer.json");
  struct Change {
    const char *what, *by, *said;
  };
  for (const Change& c :
       {Change{"\"type\": \"ByteLevel\"", "\"type\": \"Metaspace\"",
               "the pre-tokenizer is not byte-level BPE; got Metaspace"},
        Change{"\"type\": \"BPE\"", "\"type\": \"WordPiece\"", "the model is not byte-level BPE; got WordPiece"},
        Change{"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFKC\"}", "the normalizer"},
        Change{"\"byte_fallback\": false", "\"byte_fallback\": true", "byte_fallback"},
        Change{"\"!\": 1", "\"!\": 2", "two tokens have one id; got 2"},
        Change{"\"!\": 1", "\"!\": 99999999999", "an id is too large"},
        Change{"\"!\": 1", "\"!\": -1", "\"vocab\" is out of range"},
        Change{"\"!\": 1", "\"\\u4e2d\": 1", "no token for byte 0x21"},
        Change{"\"lstrip\": false", "\"lstrip\": true", "an added token is not byte-level BPE; got lstrip"},
        Change{"\"merges\": [", "\"merges\": [[\"zzzz\", \"q\"],",
               "a merge of tokens that are not in the vocabulary"}}) {
    std::string text = good;
    const size_t at = text.find(c.what);
    INFO(c.what);
    REQUIRE(at != std::string::npos);
    const Written file(text.replace(at, std::string(c.what).size(), c.by));
    CHECK_THROWS_WITH(Tokenizer::load(file.path), contains(c.said));
  }
  CHECK_THROWS_AS(Tokenizer::load(Written("{").path), IoError);
  CHECK_THROWS_AS(Tokenizer::load(Written("[1, 2]").path), IoError);
  CHECK_THROWS_AS(Tokenizer::load(Written("{\"model\": " + std::string(1 << 20, '[')).path), IoError);
}
