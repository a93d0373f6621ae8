// IDX, the format of MNIST: two zero bytes, the element type, the number of dims, the sizes and the elements, all
// big-endian. http://yann.lecun.com/exdb/mnist
#include <fmt/format.h>

#include <algorithm>

#include "tensor/io.h"
#include "tensor/io/inflate.h"
#include "tensor/raw/raw.h"

namespace ink {

Tensor load_idx(const std::string& path, int64_t max_bytes) try {
  std::string bytes = read_file(path);
  io::Memory file("load_idx", path, bytes);
  io::SequentialReader reader(file, io::compression_of(bytes));
  uint8_t magic[4];
  reader.read(magic, 4);
  if (magic[0] != 0 || magic[1] != 0)
    file.fail(fmt::format("not an IDX file; got {:02x} {:02x} at its start; expected 00 00", magic[0], magic[1]));
  constexpr std::pair<int, DType> codes[] = {{0x08, u8}, {0x0c, i32}, {0x0d, f32}, {0x0e, f64}};
  auto code = std::find_if(std::begin(codes), std::end(codes), [&](auto& c) { return c.first == magic[2]; });
  if (code == std::end(codes))
    file.fail(fmt::format("unsupported element type; got 0x{:02x}{}; expected 08 (u8), 0c (i32), 0d (f32) or 0e (f64)",
                          magic[2],
                          magic[2] == 0x09   ? " (i8)"
                          : magic[2] == 0x0b ? " (i16)"
                                             : ""));
  const DType dtype = code->second;
  if (magic[3] > kMaxDims) file.fail(fmt::format("too many dims; got {}; expected at most {}", magic[3], kMaxDims));
  Shape shape;
  for (int i = 0; i < magic[3]; ++i) {
    uint8_t b[4];
    reader.read(b, 4);
    shape.push_back(int64_t(b[0]) << 24 | b[1] << 16 | b[2] << 8 | b[3]);
  }
  int64_t needed = io::checked_bytes(dtype, shape);
  if (needed < 0 || needed > reader.most_left())
    file.fail(fmt::format("the sizes do not fit the file; got shape {} of {}; expected at most {} bytes", shape.str(),
                          name_of(dtype), reader.most_left()));
  if (needed > max_bytes)
    file.fail(fmt::format("too large; got {} bytes of elements; expected at most {}", needed, max_bytes));
  Tensor x = raw::empty(shape, {dtype, Device::cpu()});
  reader.read(x.raw_data(), x.nbytes());
  reader.expect_end();
  io::swap_bytes(x);
  return x;
} catch (const std::bad_alloc&) { io::out_of_memory("load_idx", path); }

}  // namespace ink
