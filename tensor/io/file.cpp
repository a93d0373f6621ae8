// Files read whole within a bound, and written beside the old one, then renamed.
#include "tensor/io/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>

#include "tensor/allocator.h"
#include "tensor/io.h"
#include "tensor/raw/raw.h"
#include "tensor/utf8.h"

static_assert(std::endian::native == std::endian::little, "the formats are little-endian, and so are their readers");

namespace ink {
namespace io {

void Source::fail(std::string_view what) const { throw IoError(fmt::format("{}: '{}': {}", op_, shown(path_), what)); }

std::string Source::text_at(int64_t offset, int64_t bytes) const {
  std::string s(size_t(bytes), '\0');
  read_at(offset, s.data(), bytes);
  return s;
}

static std::string reason(int error) { return std::strerror(error); }

static int open_file(const std::string& op, const std::string& path, int flags = 0) {
  if (path.find('\0') != std::string::npos) throw IoError(op + ": a path with a zero byte");
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (fd < 0) throw IoError(fmt::format("{}: cannot open '{}': {}", op, shown(path), reason(errno)));
  return fd;
}

InputFile::InputFile(std::string op, std::string path) : Source(std::move(op), std::move(path)) {
  fd_ = open_file(this->op(), this->path(), O_NONBLOCK);  // a pipe without a writer would wait for one
  struct stat info;
  if (fstat(fd_, &info) == 0 && S_ISREG(info.st_mode)) {
    size_ = info.st_size;
    return;
  }
  close(fd_);
  fail(fmt::format("not a regular file; got {}", S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe"));
}
InputFile::~InputFile() { close(fd_); }

void InputFile::read_at(int64_t offset, void* target, int64_t bytes) const {
  for (char* to = static_cast<char*>(target); bytes > 0;) {
    ssize_t n = pread(fd_, to, size_t(bytes), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot read: " + reason(errno));
    if (n == 0)
      fail(fmt::format("the file is truncated; got its end at byte {}; expected {} bytes more", offset, bytes));
    to += n, offset += n, bytes -= n;
  }
}

void Memory::read_at(int64_t offset, void* target, int64_t bytes) const {
  int64_t left = std::max<int64_t>(size() - offset, 0);
  if (bytes > left)
    fail(fmt::format("the file is truncated; got its end at byte {}; expected {} bytes more", size(), bytes - left));
  if (bytes > 0) std::memcpy(target, bytes_.data() + offset, size_t(bytes));
}

// ---- writing

// The file that a path names, behind symbolic links, of which the last may name none yet.
static std::string behind_links(std::string path) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (int links = 0; links < 40; ++links) {
    const fs::path next = fs::read_symlink(path, error);
    if (error) return path;
    path = next.is_absolute() ? next.string() : (fs::path(path).parent_path() / next).string();
  }
  return path;  // links that go round: opening it says so
}

// Temporary files stand beside their targets as .ink-save-0, .ink-save-1, ...; their writer holds a lock on each. One
// without a holder was left by a process that is gone.
static constexpr int kTemporaries = 32;  // so many are looked at; names go on from there
static std::string temporary_name(const std::string& folder, int i) { return fmt::format("{}.ink-save-{}", folder, i); }

static bool names_file(const std::string& path, int fd) {
  struct stat named, open;
  return fstat(fd, &open) == 0 && lstat(path.c_str(), &named) == 0 && named.st_dev == open.st_dev &&
         named.st_ino == open.st_ino;
}
static void remove_leftovers(const std::string& folder) {
  for (int i = 0; i < kTemporaries; ++i) {
    const std::string path = temporary_name(folder, i);
    const int fd = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && names_file(path, fd)) unlink(path.c_str());
    close(fd);
  }
}
// A new temporary file, locked.
static int open_temporary(const std::string& folder, std::string& path) {
  for (int i = 0;; ++i) {
    path = temporary_name(folder, i);
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno != EEXIST) return -1;
    if (fd < 0) continue;
    // A file system without locks refuses: then nobody finds it without a holder either.
    if ((flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && names_file(path, fd)) return fd;
    close(fd);  // another process took it for a leftover
  }
}

AtomicFile::AtomicFile(std::string op, std::string path) : op_(std::move(op)), path_(std::move(path)) {
  if (path_.find('\0') != std::string::npos) throw IoError(op_ + ": a path with a zero byte");
  target_ = behind_links(path_);
  struct stat old;
  const bool replaces = stat(target_.c_str(), &old) == 0;
  if (!replaces && errno != ENOENT) fail("write", errno);
  if (replaces && !S_ISREG(old.st_mode))
    throw IoError(fmt::format("{}: cannot write '{}': it is {}; expected a file name", op_, shown(path_),
                              S_ISDIR(old.st_mode) ? "a folder" : "a device or pipe"));
  // Root may write everything; a file that nobody may write is meant to stay, though.
  if (replaces && ((old.st_mode & 0222) == 0 || faccessat(AT_FDCWD, target_.c_str(), W_OK, AT_EACCESS) != 0))
    throw IoError(fmt::format("{}: cannot write '{}': it may only be read", op_, shown(path_)));
  const std::string folder = target_.substr(0, target_.rfind('/') + 1);
  remove_leftovers(folder);
  fd_ = open_temporary(folder, temporary_);
  if (fd_ < 0) fail("create a temporary file beside", errno);
  if (!replaces) return;
  // Owner, group and rights of the old file. Where the owner cannot be set, the new one's own rights must not grow.
  if (fchown(fd_, old.st_uid, old.st_gid) != 0 && fchown(fd_, uid_t(-1), old.st_gid) != 0) old.st_mode &= 0777;
  struct stat now;
  if (fstat(fd_, &now) == 0 && now.st_uid != old.st_uid) old.st_mode &= 0777;
  (void)!fchmod(fd_, old.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0 && !temporary_.empty()) unlink(temporary_.c_str());
  if (fd_ >= 0) close(fd_);
}

void AtomicFile::fail(const char* action, int error) const {
  throw IoError(fmt::format("{}: cannot {} '{}': {}", op_, action, shown(path_), reason(error)));
}

void AtomicFile::write(const void* data, int64_t bytes) {
  for (const char* from = static_cast<const char*>(data); bytes > 0;) {
    ssize_t n = ::write(fd_, from, size_t(bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("write", errno);
    from += n, bytes -= n;
  }
}

void AtomicFile::commit() {
  if (fsync(fd_) != 0) fail("write", errno);
  if (rename(temporary_.c_str(), target_.c_str()) != 0) fail("rename the temporary file to", errno);
  temporary_.clear();
  close(std::exchange(fd_, -1));  // the lock goes with it: a temporary file has one as long as it has its name
  // The new name is on the disk once its folder is. Some file systems cannot sync folders; the file is whole either
  // way.
  std::filesystem::path folder = std::filesystem::path(target_).parent_path();
  int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!fsync(fd);
  close(fd);
}

// ---- tensors

Tensor to_host(const char* op, const Tensor& x) {
  if (!x.defined())
    throw ValueError(fmt::format("{}: the tensor is undefined; expected one with elements or with a shape", op));
  return raw::contiguous(raw::to_device(x, Device::cpu()));
}

int64_t checked_bytes(Stored stored, const Shape& shape) {
  int64_t n = stored.bytes();
  bool empty = false;
  for (int64_t s : shape) {
    empty |= s == 0;
    if (s < 0 || (s > 0 && __builtin_mul_overflow(n, s, &n))) return -1;
  }
  return empty ? 0 : n;
}

void out_of_memory(const char* op, const std::string& path) {
  struct stat info;
  const int64_t size = stat(path.c_str(), &info) == 0 ? int64_t(info.st_size) : 0;
  throw MemoryError(
      fmt::format("{}: '{}': not enough memory to read it; got a file of {} bytes, with {} bytes of tensors live", op,
                  shown(path), size, cpu_allocator().stats().live));
}

// Integers of `narrow` bytes stand at the end of x's memory, which their dtype fills from the front: a number is read
// before its place is written.
static void widen(const Source& source, const Tensor& x, const char* from, Stored stored, bool big_endian) {
  char* to = static_cast<char*>(x.raw_data());
  const int64_t size = stored.narrow, wide = size_of(x.dtype());
  for (int64_t i = 0; i < x.numel(); ++i, from += size, to += wide) {
    uint64_t bits = 0;
    for (int64_t b = 0; b < size; ++b) bits |= uint64_t(uint8_t(from[b])) << 8 * (big_endian ? size - 1 - b : b);
    if (stored.is_signed)
      bits = uint64_t(int64_t(bits << (64 - 8 * size)) >> (64 - 8 * size));
    else if (bits > uint64_t(INT64_MAX))
      source.fail(
          fmt::format("a number does not fit i64; got {} as element {}; expected at most {}", bits, i, INT64_MAX));
    std::memcpy(to, &bits, size_t(wide));
  }
}

Tensor read_tensor(const Source& source, int64_t offset, Stored stored, const Shape& shape, bool big_endian) {
  Tensor x = raw::empty(shape, {stored.dtype, Device::cpu()});
  const int64_t bytes = checked_bytes(stored, shape);
  char* end = static_cast<char*>(x.raw_data()) + x.nbytes();
  source.read_at(offset, end - bytes, bytes);
  if (!stored.plain())
    widen(source, x, end - bytes, stored, big_endian);
  else if (big_endian)
    swap_bytes(x);
  if (stored.dtype == DType::boolean) {  // a C++ bool must be 0 or 1
    uint8_t* p = static_cast<uint8_t*>(x.raw_data());
    for (int64_t i = 0; i < x.numel(); ++i) p[i] = p[i] != 0;
  }
  return x;
}

void swap_bytes(const Tensor& x) {
  int64_t size = size_of(real_of(x.dtype()));
  char* p = static_cast<char*>(x.raw_data());
  for (int64_t i = 0; i < x.nbytes(); i += size) std::reverse(p + i, p + i + size);
}

}  // namespace io

std::string read_file(const std::string& path, int64_t max_bytes) try {
  struct Descriptor {
    int fd;
    ~Descriptor() { close(fd); }
  } file{io::open_file("read_file", path)};
  // Read to the end instead of trusting a size: pipes have none, and a file may grow.
  struct stat info;
  int64_t expected = fstat(file.fd, &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;
  std::string text;
  for (int64_t used = 0;;) {
    if (expected > max_bytes || used > max_bytes)
      throw IoError(fmt::format("read_file: '{}' is too large; got {} bytes or more; expected at most {}", shown(path),
                                std::max(expected, used), max_bytes));
    if (used == int64_t(text.size())) text.resize(size_t(used == 0 ? expected + 1 : used + (1 << 16)));
    ssize_t n = read(file.fd, text.data() + used, text.size() - size_t(used));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw IoError(fmt::format("read_file: cannot read '{}': {}", shown(path), io::reason(errno)));
    used += n;
    if (n > 0) continue;
    text.resize(size_t(used));
    return text;
  }
} catch (const std::bad_alloc&) { io::out_of_memory("read_file", path); }

void write_file_atomically(const std::string& path, std::string_view contents) {
  io::AtomicFile file("write_file_atomically", path);
  file.write(contents);
  file.commit();
}

}  // namespace ink
