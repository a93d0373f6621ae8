#include "examples/support/plot/png.h"

#include <fmt/format.h>
#include <zlib.h>

#include "tensor/error.h"

namespace ink::lesson {

namespace {

void append_u32(std::string& out, uint32_t v) {  // PNG is big-endian
  for (int shift : {24, 16, 8, 0}) out += char(v >> shift & 255);
}

void append_chunk(std::string& out, const std::string& type, const std::string& data) {
  append_u32(out, uint32_t(data.size()));
  std::string body = type + data;
  out += body;
  append_u32(out, uint32_t(crc32(0, reinterpret_cast<const Bytef*>(body.data()), uInt(body.size()))));
}

}  // namespace

std::string png_of(const std::vector<uint32_t>& pixels, int64_t width, int64_t height) {
  if (width <= 0 || height <= 0 || int64_t(pixels.size()) != width * height) {
    throw ValueError(fmt::format("png: got {} pixels for a picture of {} x {}", pixels.size(), width, height));
  }
  std::string rows;
  for (int64_t y = 0; y < height; ++y) {
    rows += '\0';  // filter 0: the bytes as they are
    for (int64_t x = 0; x < width; ++x)
      for (int shift : {16, 8, 0}) rows += char(pixels[size_t(y * width + x)] >> shift & 255);
  }
  uLongf size = compressBound(uLong(rows.size()));
  std::string packed(size, '\0');
  int status = compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()),
                         uLong(rows.size()), Z_BEST_COMPRESSION);
  if (status != Z_OK) throw MemoryError(fmt::format("png: zlib failed with status {}", status));
  packed.resize(size);

  std::string header;
  append_u32(header, uint32_t(width));
  append_u32(header, uint32_t(height));
  header += std::string("\x08\x02\0\0\0", 5);  // 8 bits, RGB, deflate, adaptive filters, not interlaced
  std::string out = "\x89PNG\r\n\x1a\n";
  append_chunk(out, "IHDR", header);
  append_chunk(out, "IDAT", packed);
  append_chunk(out, "IEND", "");
  return out;
}

}  // namespace ink::lesson
