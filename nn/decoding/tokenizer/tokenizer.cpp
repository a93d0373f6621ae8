// Reading a tokenizer's files, and a text through its steps: special tokens, pieces, bytes, merges.
#include "nn/decoding/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <unordered_map>

#include "nn/decoding/pretrained/json_file.h"
#include "nn/decoding/tokenizer/merges.h"
#include "nn/decoding/tokenizer/pieces.h"
#include "tensor/error.h"
#include "tensor/io.h"
#include "tensor/utf8.h"

namespace ink {
namespace {

constexpr const char* kTokenizer = "Tokenizer";
constexpr int64_t kMostIds = int64_t(1) << 24;

// The files write each byte as a character that can be seen: most of Latin-1 as itself, the others as U+0100 and on.
// bytes_to_unicode() of GPT-2's encoder.py.
std::array<char32_t, 256> visible_characters() {
  std::array<char32_t, 256> table{};
  char32_t next = 256;
  for (char32_t b = 0; b < 256; ++b)
    table[b] = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae ? b : next++;
  return table;
}

// The bytes that a token of the file stands for; nothing if it has another character in it.
std::optional<std::string> bytes_of_token(const std::string& token) {
  static const std::unordered_map<char32_t, char> bytes = [] {
    std::unordered_map<char32_t, char> map;
    const auto table = visible_characters();
    for (size_t b = 0; b < 256; ++b) map.emplace(table[b], char(b));
    return map;
  }();
  std::string out;
  for (int64_t at = 0; at < int64_t(token.size());) {
    const CodePoint c = decode_utf8(token, at);
    const auto it = c.bytes ? bytes.find(c.value) : bytes.end();
    if (it == bytes.end()) return std::nullopt;
    out += it->second;
    at += c.bytes;
  }
  return out;
}

}  // namespace

struct Tokenizer::Tables {
  std::vector<PiecePattern> patterns;  // applied in turn
  Merges merges;
  std::array<int64_t, 256> byte_ids;
  std::unordered_map<std::string, int64_t> ids;  // by bytes
  bool whole_pieces = false;                     // a piece that is a token as a whole is not taken apart
  bool space_first = false;                      // a space before the text, if it has none
  std::vector<std::string> texts;                // by id; bytes, or a special token's name
  std::vector<bool> there, special;              // by id
  struct Added {
    std::string text;
    int64_t id;
    bool special;
  };
  std::array<std::vector<Added>, 256> added;  // by their first byte, longer ones first
  std::vector<int64_t> begin;

  explicit Tables() { byte_ids.fill(-1); }
  void put(int64_t id, std::string text, bool is_special) {
    if (size_t(id) >= texts.size())
      texts.resize(size_t(id) + 1), there.resize(size_t(id) + 1), special.resize(size_t(id) + 1);
    texts[size_t(id)] = std::move(text), there[size_t(id)] = true, special[size_t(id)] = is_special;
  }
  void encode_plain(std::string_view text, std::vector<int64_t>& out) const;
};

// ---- files

namespace {

struct Vocabulary {
  std::unordered_map<std::string, int64_t> by_name;  // as the file writes them
};

template <class Tables> Vocabulary read_vocabulary(const JsonFile& file, const JsonValue& vocab, Tables& t) {
  Vocabulary v;
  for (const auto& [name, value] : vocab.members()) {
    const int64_t id = value.as_integer("vocab");
    if (id >= kMostIds) file.fail(fmt::format("an id is too large; got {}; expected less than {}", id, kMostIds));
    if (size_t(id) < t.there.size() && t.there[size_t(id)])
      file.fail(fmt::format("two tokens have one id; got {}, of '{}' too", id, shown(name)));
    v.by_name.emplace(name, id);
    const std::optional<std::string> bytes = bytes_of_token(name);
    t.put(id, bytes.value_or(name), false);
    if (!bytes) continue;  // a special token, which "added_tokens" names
    t.ids.emplace(*bytes, id);
    if (bytes->size() == 1) t.byte_ids[uint8_t((*bytes)[0])] = id;
  }
  for (size_t b = 0; b < 256; ++b)
    if (t.byte_ids[b] < 0) file.fail(fmt::format("not byte-level: no token for byte {:#04x}", b));
  return v;
}

template <class Tables>
void add_merge(const JsonFile& file, const Vocabulary& v, const std::string& left, const std::string& right,
               Tables& t) {
  const auto l = v.by_name.find(left), r = v.by_name.find(right), joined = v.by_name.find(left + right);
  if (l == v.by_name.end() || r == v.by_name.end() || joined == v.by_name.end())
    file.fail(
        fmt::format("a merge of tokens that are not in the vocabulary; got '{}' and '{}'", shown(left), shown(right)));
  t.merges.add(l->second, r->second, joined->second);
}

template <class Tables> void add_merge(const JsonFile& file, const Vocabulary& v, const std::string& line, Tables& t) {
  const size_t space = line.find(' ');
  if (space == std::string::npos || space == 0 || line.find(' ', space + 1) != std::string::npos)
    file.fail(fmt::format("a merge is two tokens with a space between; got '{}'", shown(line)));
  add_merge(file, v, line.substr(0, space), line.substr(space + 1), t);
}

[[noreturn]] void unsupported(const JsonFile& file, const char* part, const std::string& got, const char* expected) {
  throw NotSupported(fmt::format("{}: '{}': {} is not byte-level BPE; got {}; expected {}", kTokenizer, file.path(),
                                 part, shown(got), expected));
}

// Adds the patterns of a pre-tokenizer; says whether the bytes level was among them.
template <class Tables> bool read_pre_tokenizer(const JsonFile& file, const JsonValue& p, Tables& t, int depth = 0) {
  const std::string type = p.text("type");
  if (type == "Sequence" && depth < 4) {
    bool bytes = false;
    for (const JsonValue& part : p.at("pretokenizers").elements())
      bytes = read_pre_tokenizer(file, part, t, depth + 1) || bytes;
    return bytes;
  }
  if (type == "ByteLevel") {
    t.space_first = p.boolean("add_prefix_space", true);
    if (p.boolean("use_regex", true)) t.patterns.emplace_back(kGpt2Pattern);
    return true;
  }
  if (type == "Split") {
    if (p.text("behavior") != "Isolated" || p.boolean("invert", false))
      unsupported(file, "the behavior of a Split", p.text("behavior"), "Isolated, not inverted");
    const JsonValue pattern = p.at("pattern");
    if (pattern.at("Regex").is_text())
      t.patterns.emplace_back(pattern.text("Regex"));
    else
      t.patterns.push_back(PiecePattern::literal(pattern.text("String")));
    return false;
  }
  unsupported(file, "the pre-tokenizer", type, "ByteLevel, Split or a Sequence of them");
}

// The tokens that a template puts before the text.
template <class Tables> void read_template(const JsonFile& file, const JsonValue& p, Tables& t) {
  const std::string type = p.text("type");
  if (type == "Sequence") {
    for (const JsonValue& part : p.at("processors").elements())
      if (part.text("type") != "Sequence") read_template(file, part, t);
  } else if (type == "TemplateProcessing") {
    for (const JsonValue& part : p.at("single").elements()) {
      if (!part.at("Sequence").is_null()) break;
      const std::string name = part.at("SpecialToken").text("id");
      for (const JsonValue& id : p.at("special_tokens").at(name.c_str()).at("ids").elements()) {
        t.begin.push_back(id.as_integer("ids"));
        if (size_t(t.begin.back()) >= t.there.size() || !t.there[size_t(t.begin.back())])
          file.fail(fmt::format("the template names an id that is no token's; got {}", t.begin.back()));
      }
    }
  } else if (type != "ByteLevel") {
    unsupported(file, "the post-processor", type, "ByteLevel, TemplateProcessing or a Sequence of them");
  }
}

template <class Tables> void read_added(const JsonFile& file, const JsonValue& list, Tables& t) {
  if (list.is_null()) return;
  for (const JsonValue& a : list.elements()) {
    const std::string text = a.text("content");
    const int64_t id = a.integer("id");
    const bool special = a.boolean("special", false);
    if (text.empty() || id >= kMostIds)
      file.fail(fmt::format("an added token is wrong; got '{}' of id {}", shown(text), id));
    for (const char* flag : {"single_word", "lstrip", "rstrip"})
      if (a.boolean(flag, false)) unsupported(file, "an added token", flag, "one that is found as it is written");
    t.put(id, text, special);
    t.added[uint8_t(text[0])].push_back({text, id, special});
  }
}

template <class Tables> void read_one_file(const std::string& path, Tables& t) {
  const JsonFile file(kTokenizer, path);
  const JsonValue root = file.root(), model = root.at("model");
  if (!root.at("normalizer").is_null()) unsupported(file, "the normalizer", root.at("normalizer").text("type"), "none");
  if (model.text("type", "BPE") != "BPE" || model.at("vocab").is_null())
    unsupported(file, "the model", model.text("type"), "BPE");
  if (model.boolean("byte_fallback", false) || !model.text("continuing_subword_prefix").empty() ||
      !model.text("end_of_word_suffix").empty())
    unsupported(file, "the model", "byte_fallback, a prefix or a suffix", "none of them");
  t.whole_pieces = model.boolean("ignore_merges", false);
  const Vocabulary v = read_vocabulary(file, model.at("vocab"), t);
  for (const JsonValue& merge : model.at("merges").elements()) {
    if (merge.is_text()) {
      add_merge(file, v, merge.as_text("merges"), t);
    } else {
      const std::vector<JsonValue> pair = merge.elements();
      if (pair.size() != 2) file.fail(fmt::format("a merge is two tokens; got {}", pair.size()));
      add_merge(file, v, pair[0].as_text("merges"), pair[1].as_text("merges"), t);
    }
  }
  read_added(file, root.at("added_tokens"), t);
  if (root.at("pre_tokenizer").is_null() || !read_pre_tokenizer(file, root.at("pre_tokenizer"), t))
    unsupported(file, "the pre-tokenizer", "no ByteLevel", "one with ByteLevel");
  if (!root.at("post_processor").is_null()) read_template(file, root.at("post_processor"), t);
}

// GPT-2's own files.
template <class Tables> void read_two_files(const std::string& folder, Tables& t) {
  const JsonFile file(kTokenizer, folder + "/vocab.json");
  const Vocabulary v = read_vocabulary(file, file.root(), t);
  const std::string lines = read_file(folder + "/merges.txt", int64_t(1) << 28);
  for (size_t at = 0; at < lines.size();) {
    const size_t end = std::min(lines.find('\n', at), lines.size());
    std::string line = lines.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty() && !(at == 0 && line.starts_with("#version"))) add_merge(file, v, line, t);
    at = end + 1;
  }
  t.patterns.emplace_back(kGpt2Pattern);
  constexpr const char* kEnd = "<|endoftext|>";
  if (const auto it = v.by_name.find(kEnd); it != v.by_name.end()) {
    t.put(it->second, kEnd, true);
    t.added[uint8_t(kEnd[0])].push_back({kEnd, it->second, true});
  }
}

bool is_there(const std::string& path) { return std::ifstream(path).good(); }

}  // namespace

Tokenizer Tokenizer::load(const std::string& path) {
  auto tables = std::make_shared<Tables>();
  const std::string inside = path + "/tokenizer.json";
  if (is_there(inside))
    read_one_file(inside, *tables);
  else if (is_there(path + "/vocab.json"))
    read_two_files(path, *tables);
  else
    read_one_file(path.ends_with(".json") ? path : inside, *tables);
  for (auto& list : tables->added)
    std::stable_sort(list.begin(), list.end(), [](auto& a, auto& b) { return a.text.size() > b.text.size(); });
  Tokenizer t;
  t.tables_ = std::move(tables);
  return t;
}

// ---- texts

void Tokenizer::Tables::encode_plain(std::string_view text, std::vector<int64_t>& out) const {
  if (text.empty()) return;
  std::string with_space;
  if (space_first && text[0] != ' ') text = with_space = " " + std::string(text);
  std::vector<std::string_view> pieces{text};
  for (const PiecePattern& p : patterns) pieces = p.cut(pieces);
  std::vector<int64_t> symbols;
  for (std::string_view piece : pieces) {
    if (whole_pieces)
      if (const auto it = ids.find(std::string(piece)); it != ids.end()) {
        out.push_back(it->second);
        continue;
      }
    symbols.clear();
    for (char c : piece) symbols.push_back(byte_ids[uint8_t(c)]);
    merges.apply(symbols);
    out.insert(out.end(), symbols.begin(), symbols.end());
  }
}

std::vector<int64_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<int64_t> out;
  if (options.begin) out = tables_->begin;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const auto& list = tables_->added[uint8_t(text[at])];
    const auto found = std::find_if(list.begin(), list.end(), [&](const Tables::Added& a) {
      return (options.special || !a.special) && text.substr(at).starts_with(a.text);
    });
    if (found == list.end()) {
      ++at;
      continue;
    }
    tables_->encode_plain(text.substr(done, at - done), out);
    out.push_back(found->id);
    done = at += found->text.size();
  }
  tables_->encode_plain(text.substr(done), out);
  return out;
}

std::string Tokenizer::decode(const std::vector<int64_t>& ids, bool with_special) const {
  std::string out;
  for (int64_t id : ids) {
    if (id < 0 || id >= size() || !tables_->there[size_t(id)])
      throw IndexError(fmt::format("Tokenizer: no token has this id; got {}; expected 0 to {}", id, size() - 1));
    if (with_special || !tables_->special[size_t(id)]) out += tables_->texts[size_t(id)];
  }
  return out;
}

int64_t Tokenizer::size() const { return int64_t(tables_->texts.size()); }
bool Tokenizer::is_special(int64_t id) const {
  return id >= 0 && id < size() && tables_->there[size_t(id)] && tables_->special[size_t(id)];
}
std::optional<int64_t> Tokenizer::id(std::string_view token) const {
  for (const auto& list : tables_->added)
    for (const auto& a : list)
      if (a.text == token) return a.id;
  const auto it = tables_->ids.find(std::string(token));
  return it == tables_->ids.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace ink
