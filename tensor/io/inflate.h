// Decompression that never trusts a size: gzip files and the deflated entries of zip files, through zlib.
#pragma once
#include <memory>

#include "tensor/io/file.h"

namespace ink::io {

// No deflate stream grows by more than this factor (zlib's technical notes): a size above it is a lie.
inline constexpr int64_t kMaxInflation = 1032;

// deflate: without any header, as in a zip file
enum class Compression { none, gzip, deflate };

// The bytes behind some compressed ones, in order. `packed` must outlive the reader.
class SequentialReader {
 public:
  SequentialReader(const Memory& packed, Compression compression);
  ~SequentialReader();
  SequentialReader(const SequentialReader&) = delete;
  // The next bytes; IoError if the data end before, or are damaged (gzip's CRC is checked at the end).
  void read(void* target, int64_t bytes);
  // IoError unless everything has been read, of the stream and of `packed`.
  void expect_end();
  // No more than this many bytes can follow.
  int64_t most_left() const;

 private:
  int64_t read_some(char* target, int64_t bytes);  // 0 at the end
  friend std::string unpacked(const Memory& packed, Compression compression, int64_t max_bytes);
  const Memory& packed_;
  int64_t at_ = 0, given_ = 0;
  bool members_, ended_ = false;  // may another gzip member follow
  struct Stream;
  std::unique_ptr<Stream> stream_;  // null if nothing is compressed
};

// Whether the bytes start as a gzip file does.
Compression compression_of(std::string_view bytes);
// Everything, up to max_bytes; IoError if there is more.
std::string unpacked(const Memory& packed, Compression compression, int64_t max_bytes);

}  // namespace ink::io
