// What the readers and writers of tensor/io.h share: reading at an offset, and writing so that the old file survives a
// failure.
#pragma once
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace ink::io {

// Where a reader gets its bytes from. Every error names the function the user called and the file.
class Source {
 public:
  Source(std::string op, std::string path) : op_(std::move(op)), path_(std::move(path)) {}
  virtual ~Source() = default;
  virtual int64_t size() const = 0;
  // Copies bytes [offset, offset + bytes) to target; IoError if they are not all there.
  virtual void read_at(int64_t offset, void* target, int64_t bytes) const = 0;
  std::string text_at(int64_t offset, int64_t bytes) const;
  const std::string& op() const { return op_; }
  const std::string& path() const { return path_; }
  [[noreturn]] void fail(std::string_view what) const;  // IoError "op: 'path': what"

 private:
  std::string op_, path_;
};

// A regular file, open as long as the object lives.
class InputFile : public Source {
 public:
  InputFile(std::string op, std::string path);
  ~InputFile() override;
  InputFile(const InputFile&) = delete;
  int64_t size() const override { return size_; }
  void read_at(int64_t offset, void* target, int64_t bytes) const override;

 private:
  int fd_;
  int64_t size_ = 0;
};

// Bytes in memory that came from (a part of) a file; the caller keeps them alive.
class Memory : public Source {
 public:
  Memory(std::string op, std::string path, std::string_view bytes)
      : Source(std::move(op), std::move(path)), bytes_(bytes) {}
  int64_t size() const override { return int64_t(bytes_.size()); }
  void read_at(int64_t offset, void* target, int64_t bytes) const override;
  std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
};

// A temporary file beside `path` that takes its name in commit(), after all bytes are on the disk. Destroyed without a
// commit (an exception, a full disk), it goes away and the old file stays. What a killed process has left is removed by
// the next one that writes in the folder.
class AtomicFile {
 public:
  AtomicFile(std::string op, std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  void write(const void* data, int64_t bytes);
  void write(std::string_view text) { write(text.data(), int64_t(text.size())); }
  void commit();

 private:
  [[noreturn]] void fail(const char* action, int error) const;
  std::string op_, path_, target_, temporary_;
  int fd_ = -1;
};

// A contiguous tensor on the CPU with x's elements, ready to be written. ValueError if x is undefined.
Tensor to_host(const char* op, const Tensor& x);
// How the elements of a file are stored: as one of our dtypes, or as integers that we lack, which are read into a wider
// dtype.
struct Stored {
  DType dtype;        // what is made of them
  int8_t narrow = 0;  // bytes of an integer that we lack; 0: stored as dtype
  bool is_signed = false;
  constexpr Stored(DType t) : dtype(t) {}
  constexpr Stored(DType t, int bytes, bool is_signed) : dtype(t), narrow(int8_t(bytes)), is_signed(is_signed) {}
  bool plain() const { return narrow == 0; }
  int64_t bytes() const { return plain() ? size_of(dtype) : narrow; }
};
inline constexpr Stored kInt8{i32, 1, true}, kInt16{i32, 2, true}, kUint16{i32, 2, false}, kUint32{i64, 4, false},
    kUint64{i64, 8, false};  // the last only as far as its numbers fit

// A new tensor filled from the source. The caller has checked that the bytes are there. A bool byte other than 0 means
// true. IoError for an unsigned number that i64 does not hold.
Tensor read_tensor(const Source& source, int64_t offset, Stored stored, const Shape& shape, bool big_endian = false);
// Reverses the bytes of every number: big-endian elements become ours. A complex element is two numbers.
void swap_bytes(const Tensor& x);
// The bytes of so many stored elements; -1 if the number does not fit 63 bits.
int64_t checked_bytes(Stored stored, const Shape& shape);

// What a reader does about a std::bad_alloc: a MemoryError that says how large the file is.
[[noreturn]] void out_of_memory(const char* op, const std::string& path);

}  // namespace ink::io
