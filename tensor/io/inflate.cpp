// Decompression through zlib, within a bound.
#include "tensor/io/inflate.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "tensor/io.h"

namespace ink {
namespace io {

struct SequentialReader::Stream {
  z_stream z{};
  ~Stream() { inflateEnd(&z); }
};

SequentialReader::SequentialReader(const Memory& packed, Compression compression)
    : packed_(packed), members_(compression == Compression::gzip) {
  if (compression == Compression::none) return;
  stream_ = std::make_unique<Stream>();
  // zlib's codes: 16 more than the window's bits asks for a gzip header, negative bits for no header.
  if (inflateInit2(&stream_->z, compression == Compression::gzip ? 16 + MAX_WBITS : -MAX_WBITS) != Z_OK)
    throw MemoryError(packed.op() + ": no memory to decompress");
}
SequentialReader::~SequentialReader() = default;

int64_t SequentialReader::most_left() const {
  if (!stream_) return packed_.size() - at_;
  return std::max<int64_t>(packed_.size() * kMaxInflation - given_, 0);
}

int64_t SequentialReader::read_some(char* target, int64_t bytes) {
  if (!stream_) {
    int64_t n = std::min(bytes, packed_.size() - at_);
    packed_.read_at(at_, target, n);
    at_ += n;
    return n;
  }
  z_stream& z = stream_->z;
  constexpr int64_t piece = int64_t(1) << 30;  // zlib counts in 32 bits
  int64_t done = 0;
  while (done < bytes && !ended_) {
    std::string_view rest = packed_.bytes().substr(size_t(at_), size_t(piece));
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));
    z.avail_in = uInt(rest.size());
    z.next_out = reinterpret_cast<Bytef*>(target + done);
    z.avail_out = uInt(std::min(bytes - done, piece));
    uInt in = z.avail_in, out = z.avail_out;
    int status = inflate(&z, Z_NO_FLUSH);
    at_ += in - z.avail_in;
    done += out - z.avail_out;
    if (status == Z_STREAM_END) {
      // A gzip file may hold several members, one after the other; what they hold belongs together (RFC 1952, 2.2).
      const bool next = members_ && compression_of(packed_.bytes().substr(size_t(at_))) == Compression::gzip;
      ended_ = !next || inflateReset(&z) != Z_OK;
    } else if (status == Z_BUF_ERROR && at_ == packed_.size())
      packed_.fail("the compressed data are truncated; expected more bytes at the end");
    else if (status != Z_OK)
      packed_.fail(fmt::format("the compressed data are damaged; got '{}' at byte {}", z.msg ? z.msg : "?", at_));
  }
  given_ += done;
  return done;
}

void SequentialReader::read(void* target, int64_t bytes) {
  int64_t n = read_some(static_cast<char*>(target), bytes);
  if (n < bytes)
    packed_.fail(fmt::format("the data end early; got {} bytes; expected {}", given_ + (stream_ ? 0 : at_),
                             given_ + (stream_ ? 0 : at_) + bytes - n));
}

void SequentialReader::expect_end() {
  char extra;
  if (read_some(&extra, 1) != 0) packed_.fail("the data go on after their end; expected no more bytes");
  if (at_ != packed_.size())
    packed_.fail(fmt::format("bytes after the compressed data; got {}; expected none", packed_.size() - at_));
}

Compression compression_of(std::string_view bytes) {
  return bytes.starts_with("\x1f\x8b") ? Compression::gzip : Compression::none;
}

std::string unpacked(const Memory& packed, Compression compression, int64_t max_bytes) {
  SequentialReader reader(packed, compression);
  std::string text;
  for (int64_t used = 0;;) {
    if (used > max_bytes) packed.fail(fmt::format("too large when unpacked; expected at most {} bytes", max_bytes));
    int64_t next = std::min({std::max<int64_t>(used, 1 << 16), reader.most_left() + 1, max_bytes - used + 1});
    text.resize(size_t(used + next));
    int64_t n = reader.read_some(text.data() + used, next);
    used += n;
    text.resize(size_t(used));
    if (n < next) break;
  }
  reader.expect_end();
  return text;
}

}  // namespace io

std::string read_unpacked(const std::string& path, int64_t max_bytes) try {
  std::string bytes = read_file(path, max_bytes);
  io::Compression compression = io::compression_of(bytes);
  if (compression == io::Compression::none) return bytes;
  return io::unpacked(io::Memory("read_unpacked", path, bytes), compression, max_bytes);
} catch (const std::bad_alloc&) { io::out_of_memory("read_unpacked", path); }

}  // namespace ink
