// Text as characters: the vocabulary, ids, windows of a training set.
#include "nn/data/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/ops.h"
#include "tensor/io.h"
#include "tensor/utf8.h"

namespace ink {
namespace {

// Calls take(c) with each character of the text, in order. It is never held in a wider form: a text may fill much of
// the memory.
template <class F> void for_each_character(std::string_view utf8, F take) {
  for (int64_t at = 0; at < int64_t(utf8.size());) {
    CodePoint c = decode_utf8(utf8, at);
    if (c.bytes == 0)
      throw ValueError(fmt::format("CharText: the text is not UTF-8; got byte 0x{:02x} at offset {}",
                                   uint8_t(utf8[size_t(at)]), at));
    take(c.value);
    at += c.bytes;
  }
}

}  // namespace

CharText::CharText(std::string_view utf8) {
  std::vector<bool> stands(0x110000);
  for_each_character(utf8, [&](char32_t c) { stands[c] = true; });
  for (char32_t c = 0; c < stands.size(); ++c)
    if (stands[c]) characters_.push_back(c);
  ids_ = encode(utf8);
}

CharText CharText::load(const std::string& path, int64_t max_bytes) {
  std::string text = read_unpacked(path, max_bytes);
  try {
    return CharText(text);
  } catch (const ValueError& e) {
    throw IoError(fmt::format("'{}': {}", shown(path), e.what()));
  } catch (const std::bad_alloc&) { detail::out_of_memory("CharText"); }
}

Tensor CharText::encode(std::string_view utf8) const {
  int64_t count = 0;
  for_each_character(utf8, [&](char32_t) { ++count; });
  Tensor ids = empty({count}, {i64, Device::cpu()});
  int64_t *begin = ids.data<int64_t>(), *out = begin;
  for_each_character(utf8, [&](char32_t c) {
    auto it = std::lower_bound(characters_.begin(), characters_.end(), c);
    if (it == characters_.end() || *it != c)
      throw ValueError(fmt::format("CharText: a character is not in the vocabulary; got U+{:04X} at position {}",
                                   uint32_t(c), out - begin));
    *out++ = it - characters_.begin();
  });
  return ids.to(default_device());
}

std::string CharText::decode(const Tensor& ids) const {
  std::string text;
  for (int64_t id : ids.to_vector<int64_t>()) {
    if (id < 0 || id >= vocabulary())
      throw IndexError(fmt::format("CharText: no such character; got id {}; expected 0 to {}", id, vocabulary() - 1));
    append_utf8(text, characters_[size_t(id)]);
  }
  return text;
}

std::pair<Tensor, Tensor> split_text(const Tensor& ids, double fraction) {
  if (!(fraction >= 0 && fraction <= 1))
    throw ValueError(fmt::format("split_text: fraction; got {}; expected 0 to 1", fraction));
  int64_t cut = int64_t(fraction * double(ids.numel()));
  return {ids.slice(0, 0, cut), ids.slice(0, cut, ids.numel())};
}

std::pair<Tensor, Tensor> random_windows(const Tensor& ids, int64_t batch, int64_t length, Generator& generator) {
  int64_t n = ids.numel();
  if (batch < 1 || length < 1 || n <= length)
    throw ValueError(
        fmt::format("random_windows: got {} windows of {} from {} characters; expected at least 1 of each, and more "
                    "characters than one window has",
                    batch, length, n));
  Tensor start = randint(0, n - length, {batch, 1}, {i64, ids.device()}, &generator);
  Tensor at = start + arange(0, length, 1, {i64, ids.device()});  // [batch, length]
  auto take = [&](const Tensor& where) { return index_select(ids, 0, where.flatten()).reshape({batch, length}); };
  return {take(at), take(at + 1)};
}

}  // namespace ink
