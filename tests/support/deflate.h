// Compressed bytes for the tests of readers.
#pragma once
#include <zlib.h>

#include <string>

namespace ink::test {

inline std::string compressed(const std::string& bytes, int window_bits) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, bytes.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = uInt(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = uInt(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}
inline std::string gzipped(const std::string& bytes) { return compressed(bytes, 16 + MAX_WBITS); }
inline std::string deflated(const std::string& bytes) { return compressed(bytes, -MAX_WBITS); }  // as in a zip

}  // namespace ink::test
