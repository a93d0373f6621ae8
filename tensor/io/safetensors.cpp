// safetensors: 8 bytes header length (little-endian), a JSON header, then the elements of all tensors without gaps.
// https://github.com/huggingface/safetensors describes the format.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "tensor/io.h"
#include "tensor/io/file.h"
#include "tensor/io/safetensors_header.h"
#include "tensor/utf8.h"

namespace ink {
namespace {

struct FormatDType {
  const char* name;
  io::Stored stored;
};
constexpr FormatDType kDTypes[] = {{"F64", f64},         {"F32", f32},        {"F16", f16},        {"BF16", bf16},
                                   {"C64", c64},         {"I64", i64},        {"I32", i32},        {"U8", u8},
                                   {"BOOL", boolean},    {"I8", io::kInt8},   {"I16", io::kInt16}, {"U16", io::kUint16},
                                   {"U32", io::kUint32}, {"U64", io::kUint64}};
constexpr int64_t kMaxHeader = 100'000'000;  // the reference implementation's limit

template <class... A>
[[noreturn]] void fail_entry(const io::SafetensorsEntry& e, const io::Source& file, fmt::format_string<A...> what,
                             A&&... args) {
  file.fail(fmt::format("tensor '{}'{}", shown(e.name), fmt::format(what, std::forward<A>(args)...)));
}

// The entry's shape, once its dtype, size and offsets agree.
Shape checked_shape(const io::SafetensorsEntry& e, io::Stored stored, int64_t data_bytes, const io::Source& file) {
  if (e.shape.size() > size_t(kMaxDims))
    fail_entry(e, file, ": too many dims; got {}; expected at most {}", e.shape.size(), kMaxDims);
  Shape shape(e.shape.begin(), e.shape.end());
  if (e.begin > e.end || e.end > data_bytes)
    fail_entry(e, file, ": offsets outside the data; got [{}, {}]; expected 0 to {}", e.begin, e.end, data_bytes);
  int64_t bytes = io::checked_bytes(stored, shape);
  if (bytes < 0) fail_entry(e, file, ": its size overflows; got shape {}", shape.str());
  if (bytes != e.end - e.begin)
    fail_entry(e, file, ": size and offsets differ; got {} bytes; expected {} for {} of shape {}", e.end - e.begin,
               bytes, e.dtype, shape.str());
  return shape;
}

io::Stored stored_as(const io::SafetensorsEntry& e, const io::Source& file) {
  std::string names;
  for (const FormatDType& d : kDTypes) {
    if (e.dtype == d.name) return d.stored;
    names += (names.empty() ? "" : ", ") + std::string(d.name);
  }
  fail_entry(e, file, ": unsupported dtype; got \"{}\"; expected one of {}", shown(e.dtype), names);
}

// Every byte of the data belongs to exactly one tensor.
void check_no_overlap(const std::vector<io::SafetensorsEntry>& entries, int64_t data_bytes, const io::Source& file) {
  std::vector<const io::SafetensorsEntry*> order;
  for (const auto& e : entries) order.push_back(&e);
  std::sort(order.begin(), order.end(),
            [](auto* a, auto* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  int64_t at = 0;
  for (const auto* e : order) {
    if (e->begin != at)
      fail_entry(*e, file, " {}; got data from byte {}; expected {}",
                 e->begin < at ? "overlaps the one before it" : "leaves a gap before it", e->begin, at);
    at = e->end;
  }
  if (at != data_bytes)
    file.fail(fmt::format("the data has bytes that no tensor owns; got {} bytes; expected {}", data_bytes, at));
}

const char* format_name(const std::string& name, DType dtype) {
  for (const FormatDType& d : kDTypes)
    if (d.stored.plain() && dtype == d.stored.dtype) return d.name;
  throw DTypeError(fmt::format(
      "save_safetensors: '{}': the format has no such dtype; got {}; hint: save its real and imaginary parts",
      shown(name), name_of(dtype)));
}

void check_name(const std::string& name, std::unordered_set<std::string>& seen) {
  if (invalid_utf8_at(name) >= 0)
    throw ValueError(fmt::format("save_safetensors: a name that is not UTF-8; got '{}'", shown(name)));
  if (name == "__metadata__") throw ValueError("save_safetensors: the name '__metadata__' belongs to the format");
  if (!seen.insert(name).second)
    throw ValueError(fmt::format("save_safetensors: a name stands twice; got '{}'", shown(name)));
}

}  // namespace

void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::unordered_set<std::string> names, keys;
  for (const auto& [name, x] : tensors) {
    check_name(name, names);
    if (!x.defined()) throw ValueError(fmt::format("save_safetensors: the tensor '{}' is undefined", shown(name)));
  }
  // The widest dtypes come first, so that every tensor stands aligned for readers that map the file.
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return size_of(tensors[a].second.dtype()) > size_of(tensors[b].second.dtype());
  });
  std::vector<int64_t> begin(tensors.size());
  int64_t data_bytes = 0;
  for (size_t i : order) begin[i] = data_bytes, data_bytes += tensors[i].second.nbytes();

  std::string json = "{", separator;
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      check_name(key, keys);
      if (invalid_utf8_at(value) >= 0)
        throw ValueError(fmt::format("save_safetensors: the metadata of '{}' is not UTF-8", shown(key)));
      json += std::exchange(separator, ",") + io::json_quoted(key) + ":" + io::json_quoted(value);
    }
    json += "}";
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, x] = tensors[i];
    std::string shape, comma;
    for (int64_t s : x.shape()) shape += std::exchange(comma, ",") + std::to_string(s);
    json +=
        fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", std::exchange(separator, ","),
                    io::json_quoted(name), format_name(name, x.dtype()), shape, begin[i], begin[i] + x.nbytes());
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  if (int64_t(json.size()) > kMaxHeader)
    throw ValueError(fmt::format("save_safetensors: the header is too long; got {} bytes; expected at most {}",
                                 json.size(), kMaxHeader));

  io::AtomicFile file("save_safetensors", path);
  uint64_t length = json.size();
  file.write(&length, 8);
  file.write(json);
  for (size_t i : order) {
    Tensor x = io::to_host("save_safetensors", tensors[i].second);
    file.write(x.raw_data(), x.nbytes());
  }
  file.commit();
}

NamedTensors load_safetensors(const std::string& path, std::vector<std::pair<std::string, std::string>>* metadata) try {
  io::InputFile file("load_safetensors", path);
  if (file.size() < 8)
    file.fail(
        fmt::format("too short; got {} bytes; expected at least 8; hint: is it a safetensors file?", file.size()));
  uint64_t length;
  file.read_at(0, &length, 8);
  if (length > uint64_t(kMaxHeader) || int64_t(length) > file.size() - 8)
    file.fail(fmt::format(
        "the header is longer than allowed; got {} bytes; expected at most {}; hint: is it a safetensors file?", length,
        std::min(kMaxHeader, file.size() - 8)));
  const std::string json = file.text_at(8, int64_t(length));
  io::SafetensorsHeader header = io::parse_safetensors_header(json, file);

  int64_t data_start = 8 + int64_t(length), data_bytes = file.size() - data_start;
  std::vector<std::pair<io::Stored, Shape>> kinds;
  for (const auto& e : header.entries) {
    io::Stored stored = stored_as(e, file);
    kinds.emplace_back(stored, checked_shape(e, stored, data_bytes, file));
  }
  check_no_overlap(header.entries, data_bytes, file);

  NamedTensors tensors;
  for (size_t i = 0; i < kinds.size(); ++i)
    tensors.emplace_back(header.entries[i].name,
                         io::read_tensor(file, data_start + header.entries[i].begin, kinds[i].first, kinds[i].second));
  if (metadata) *metadata = std::move(header.metadata);
  return tensors;
} catch (const std::bad_alloc&) { io::out_of_memory("load_safetensors", path); }

}  // namespace ink
