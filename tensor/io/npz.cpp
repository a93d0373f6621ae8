// .npz: a zip file with one .npy per array. Zip: the entries, each behind a local header, then a directory of them,
// then the directory's place (PKWARE's APPNOTE 4.3). Only what NumPy writes is read.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "tensor/io.h"
#include "tensor/io/inflate.h"
#include "tensor/io/npy.h"
#include "tensor/utf8.h"

namespace ink {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kDirectory = 0x02014b50, kEnd = 0x06054b50;
constexpr int64_t kMax32 = 0xffffffff;

// Little-endian fields of 2 and 4 bytes, read and written one after the other.
struct FieldReader {
  std::string_view bytes;
  uint32_t next(int size) {
    uint32_t v = 0;
    std::memcpy(&v, bytes.data(), size_t(size));
    bytes.remove_prefix(size_t(size));
    return v;
  }
};
struct FieldWriter {
  std::string bytes;
  FieldWriter& u16(uint32_t v) { return bytes.append(reinterpret_cast<char*>(&v), 2), *this; }
  FieldWriter& u32(uint32_t v) { return bytes.append(reinterpret_cast<char*>(&v), 4), *this; }
};

uint32_t crc_of(uint32_t crc, const void* data, int64_t bytes) {
  constexpr int64_t piece = int64_t(1) << 30;
  const Bytef* p = static_cast<const Bytef*>(data);
  for (; bytes > 0; p += piece, bytes -= piece) crc = uint32_t(crc32(crc, p, uInt(std::min(bytes, piece))));
  return crc;
}

struct Entry {
  std::string name;
  uint32_t flags, method, crc;
  int64_t packed, size, offset;

  template <class... A>
  [[noreturn]] void fail(const io::Source& file, fmt::format_string<A...> what, A&&... args) const {
    file.fail(fmt::format("entry '{}'{}", shown(name), fmt::format(what, std::forward<A>(args)...)));
  }
};

// The directory's entries, found through the record at the end of the file (which a comment may follow).
std::vector<Entry> read_directory(const io::Source& file) {
  constexpr int64_t end_bytes = 22, max_comment = 0xffff;
  int64_t tail_bytes = std::min(file.size(), end_bytes + max_comment);
  std::string tail = file.text_at(file.size() - tail_bytes, tail_bytes);
  size_t at = tail.npos;
  for (int64_t i = tail_bytes - end_bytes; i >= 0 && at == tail.npos; --i) {
    std::string_view record(tail.data() + i, size_t(tail_bytes - i));
    uint16_t comment;
    std::memcpy(&comment, record.data() + 20, 2);
    if (FieldReader{record}.next(4) == kEnd && comment == tail_bytes - i - end_bytes) at = size_t(i);
  }
  if (at == tail.npos)
    file.fail("not a zip file, or truncated: its directory is missing; hint: an .npz is a zip of .npy files");
  FieldReader end{std::string_view(tail).substr(at + 4)};
  uint32_t disk = end.next(2), first_disk = end.next(2), here = end.next(2), count = end.next(2);
  int64_t bytes = end.next(4), start = end.next(4), directory_end = file.size() - tail_bytes + int64_t(at);
  if (count == 0xffff || bytes == kMax32 || start == kMax32)
    file.fail("a zip64 file is not supported; expected less than 4 GiB and 65535 entries");
  if (disk != 0 || first_disk != 0 || here != count) file.fail("a zip file in several parts is not supported");
  if (start + bytes != directory_end)
    file.fail(fmt::format("the directory's place is wrong; got bytes {} to {}; expected its end at {}", start,
                          start + bytes, directory_end));

  std::string text = file.text_at(start, bytes);
  FieldReader fields{text};
  std::vector<Entry> entries;
  for (uint32_t i = 0; i < count; ++i) {
    if (fields.bytes.size() < 46 || fields.next(4) != kDirectory)
      file.fail(fmt::format("the directory is damaged at entry {}", i));
    Entry e;
    fields.next(4);  // versions
    e.flags = fields.next(2), e.method = fields.next(2);
    fields.next(4);  // time and date
    e.crc = fields.next(4), e.packed = fields.next(4), e.size = fields.next(4);
    uint32_t name = fields.next(2), extra = fields.next(2), comment = fields.next(2);
    fields.next(4), fields.next(4);  // disk and attributes
    e.offset = fields.next(4);
    if (fields.bytes.size() < size_t(name) + extra + comment)
      file.fail(fmt::format("the directory is damaged at entry {}", i));
    e.name = fields.bytes.substr(0, name);
    fields.bytes.remove_prefix(size_t(name) + extra + comment);
    if (e.packed == kMax32 || e.size == kMax32 || e.offset == kMax32)
      e.fail(file, ": zip64 is not supported; expected less than 4 GiB");
    entries.push_back(std::move(e));
  }
  if (!fields.bytes.empty()) file.fail("the directory is longer than its entries");
  return entries;
}

// Where the entry's bytes start; checked against the end of the entries, `limit`.
int64_t data_start(const Entry& e, const io::Source& file, int64_t limit) {
  constexpr int64_t local_bytes = 30;
  if (e.offset + local_bytes > limit) e.fail(file, ": its place lies outside the file; got byte {}", e.offset);
  std::string local = file.text_at(e.offset, local_bytes);
  uint16_t name, extra;
  std::memcpy(&name, local.data() + 26, 2);
  std::memcpy(&extra, local.data() + 28, 2);
  int64_t start = e.offset + local_bytes + name + extra;
  if (FieldReader{local}.next(4) != kLocal || start > limit || file.text_at(e.offset + local_bytes, name) != e.name)
    e.fail(file, ": the local header does not fit the directory");
  if (start + e.packed > limit)
    e.fail(file, ": longer than the file; got {} bytes; expected at most {}", e.packed, limit - start);
  return start;
}

void check_entry(const Entry& e, const io::Source& file) {
  if (e.flags & 1) e.fail(file, " is encrypted; not supported");
  if (e.method != 0 && e.method != 8)
    e.fail(file, ": unsupported compression; got method {}; expected 0 (stored) or 8 (deflated)", e.method);
  if (e.method == 0 && e.packed != e.size)
    e.fail(file, ": stored, but its two sizes differ; got {} and {}", e.packed, e.size);
  if (e.size > e.packed * io::kMaxInflation) e.fail(file, ": no {} bytes can unpack to {}", e.packed, e.size);
  if (!e.name.ends_with(".npy")) e.fail(file, " is not an array; expected a name that ends in .npy");
}

std::string read_entry(const Entry& e, int64_t start, const io::Source& file) {
  std::string bytes = file.text_at(start, e.packed);
  if (e.method == 8) {
    io::Memory packed(file.op(), file.path() + "/" + shown(e.name), bytes);
    io::SequentialReader reader(packed, io::Compression::deflate);
    std::string unpacked(size_t(e.size), '\0');
    reader.read(unpacked.data(), e.size);
    reader.expect_end();
    bytes = std::move(unpacked);
  }
  uint32_t crc = crc_of(0, bytes.data(), e.size);
  if (crc != e.crc) e.fail(file, " is damaged: wrong CRC; got {:08x}; expected {:08x}", crc, e.crc);
  return bytes;
}

}  // namespace

NamedTensors load_npz(const std::string& path, int64_t max_bytes) try {
  io::InputFile file("load_npz", path);
  std::vector<Entry> entries = read_directory(file);
  int64_t limit = file.size();
  std::unordered_set<std::string> names;
  std::vector<int64_t> starts;
  std::vector<std::pair<int64_t, int64_t>> ranges;
  int64_t unpacked = 0;
  for (const Entry& e : entries) {
    check_entry(e, file);
    unpacked += e.size;
    if (unpacked > max_bytes)
      file.fail(fmt::format("too large when unpacked; got {} bytes or more; expected at most {}", unpacked, max_bytes));
    if (!names.insert(e.name).second) file.fail(fmt::format("two entries have one name; got '{}'", shown(e.name)));
    starts.push_back(data_start(e, file, limit));
    ranges.emplace_back(e.offset, starts.back() + e.packed);
  }
  std::sort(ranges.begin(), ranges.end());  // entries that share bytes unpack to far more than the file holds
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second)
      file.fail(fmt::format("two entries overlap at byte {}", ranges[i].first));

  NamedTensors tensors;
  for (size_t i = 0; i < entries.size(); ++i) {
    std::string bytes = read_entry(entries[i], starts[i], file), name = entries[i].name;
    Tensor x = io::read_npy(io::Memory("load_npz", path + "/" + shown(name), bytes));
    name.resize(name.size() - 4);
    tensors.emplace_back(std::move(name), std::move(x));
  }
  return tensors;
} catch (const std::bad_alloc&) { io::out_of_memory("load_npz", path); }

void save_npz(const std::string& path, const NamedTensors& tensors) {
  std::unordered_set<std::string> names;
  std::vector<std::string> headers;
  int64_t total = 0;
  for (const auto& [name, x] : tensors) {
    if (invalid_utf8_at(name) >= 0 || name.size() > 0xfff0)
      throw ValueError("save_npz: a name that is not UTF-8, or too long");
    if (!names.insert(name).second)
      throw ValueError(fmt::format("save_npz: a name stands twice; got '{}'", shown(name)));
    if (!x.defined()) throw ValueError(fmt::format("save_npz: the tensor '{}' is undefined", shown(name)));
    headers.push_back(io::npy_header("save_npz", x));
    total += 30 + 46 + 2 * int64_t(name.size() + 4) + int64_t(headers.back().size()) + x.nbytes();
  }
  if (total >= kMax32 || tensors.size() >= 0xffff)
    throw ValueError(fmt::format(
        "save_npz: too large for a zip file; got {} bytes in {} entries; hint: save_safetensors has no limit", total,
        tensors.size()));

  io::AtomicFile file("save_npz", path);
  FieldWriter directory;
  int64_t at = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    std::string name = tensors[i].first + ".npy";
    Tensor x = io::to_host("save_npz", tensors[i].second);
    uint32_t crc = crc_of(crc_of(0, headers[i].data(), int64_t(headers[i].size())), x.raw_data(), x.nbytes());
    uint32_t size = uint32_t(headers[i].size()) + uint32_t(x.nbytes());
    // Version 2.0, names in UTF-8 (flag 11), stored, 1 January 1980.
    FieldWriter common;
    common.u16(20).u16(1 << 11).u16(0).u16(0).u16(0x21).u32(crc).u32(size).u32(size).u16(uint32_t(name.size())).u16(0);
    FieldWriter local;
    local.u32(kLocal).bytes += common.bytes + name;
    directory.u32(kDirectory).u16(20).bytes += common.bytes;
    directory.u16(0).u16(0).u16(0).u32(0).u32(uint32_t(at)).bytes += name;
    file.write(local.bytes);
    file.write(headers[i]);
    file.write(x.raw_data(), x.nbytes());
    at += int64_t(local.bytes.size()) + size;
  }
  uint32_t count = uint32_t(tensors.size());
  FieldWriter end;
  end.u32(kEnd).u16(0).u16(0).u16(count).u16(count).u32(uint32_t(directory.bytes.size())).u32(uint32_t(at)).u16(0);
  file.write(directory.bytes);
  file.write(end.bytes);
  file.commit();
}

}  // namespace ink
