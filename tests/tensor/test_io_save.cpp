// Files that are replaced: links, rights, owners, names, leftovers; and what is no file at all.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>

#include "autograd/ops.h"
#include "tensor/io.h"
#include "tests/catch.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;
namespace fs = std::filesystem;

namespace {

void save(const std::string& path, const std::string& text) { write_file_atomically(path, text); }

struct stat stat_of(const std::string& path) {
  struct stat s {};
  REQUIRE(lstat(path.c_str(), &s) == 0);
  return s;
}

bool as_root() { return geteuid() == 0; }

}  // namespace

TEST_CASE("a save through a symbolic link writes the file that it names", "[io]") {
  TemporaryFolder folder;
  fs::create_directories(folder / "real");
  const struct {
    const char *link, *names;  // from the link's folder
  } links[] = {{"to_file", "real/old"}, {"to_none_yet", "real/new"}, {"to_link", "to_none_yet"}};
  save(folder / "real/old", "old");
  fs::create_symlink("real", folder / "into");  // a folder behind a link
  for (auto& [link, names] : links) {
    INFO(link);
    fs::create_symlink(names, folder / link);
    save(folder / link, link);
    CHECK(fs::is_symlink(folder / link));
    CHECK(read_file(folder / link) == link);
    CHECK_FALSE(fs::is_symlink(fs::canonical(folder / link)));
  }
  CHECK(read_file(folder / "real/old") == "to_file");
  CHECK(read_file(folder / "real/new") == "to_link");
  fs::create_symlink(folder / "real/absolute", folder / "into/far");
  save(folder / "into/far", "far");
  CHECK(read_file(folder / "real/absolute") == "far");
  fs::create_symlink("round", folder / "round");
  CHECK_THROWS_AS(save(folder / "round", "x"), IoError);
  CHECK(fs::is_symlink(folder / "round"));
}

TEST_CASE("a file that may only be read is not replaced", "[io]") {
  TemporaryFolder folder;
  save(folder / "a", "kept");
  chmod((folder / "a").c_str(), 0444);
  CHECK_THROWS_WITH(save(folder / "a", "new"), contains("it may only be read"));
  CHECK_THROWS_AS(save_npy(folder / "a", ones({2})), IoError);
  CHECK(read_file(folder / "a") == "kept");
  CHECK(folder.files().size() == 1);
}

TEST_CASE("a new file has owner, group and rights of the old one", "[io]") {
  TemporaryFolder folder;
  const std::string path = folder / "a";
  save(path, "old");
  chmod(path.c_str(), 0640);
  if (as_root()) REQUIRE(chown(path.c_str(), 1234, 2345) == 0);
  const struct stat before = stat_of(path);
  save_safetensors(path, {{"x", ones({2})}});
  const struct stat after = stat_of(path);
  CHECK(after.st_ino != before.st_ino);
  CHECK(after.st_mode == before.st_mode);
  CHECK(after.st_uid == before.st_uid);
  CHECK(after.st_gid == before.st_gid);
}

TEST_CASE("names as long as the system allows can be saved", "[io]") {
  TemporaryFolder folder;
  const std::string name(255, 'n');
  save(folder / name, "first");
  save(folder / name, "second");
  CHECK(read_file(folder / name) == "second");
  CHECK_THROWS_AS(save(folder / (name + "n"), "too long"), IoError);
  CHECK(folder.files().size() == 1);
}

TEST_CASE("a save removes what killed ones have left, and nothing of those that run", "[io]") {
  TemporaryFolder folder;
  const std::string left = folder / ".ink-save-0", runs = folder / ".ink-save-1", other = folder / ".ink-save-2";
  for (const std::string& p : {left, runs, other}) close(open(p.c_str(), O_CREAT | O_WRONLY, 0600));
  const int held = open(runs.c_str(), O_WRONLY);
  REQUIRE(flock(held, LOCK_EX) == 0);
  save(folder / "a", "text");
  CHECK(folder.files().size() == 2);
  CHECK(fs::exists(runs));
  CHECK(read_file(folder / "a") == "text");
  close(held);
  save(folder / "b", "text");
  CHECK_FALSE(fs::exists(runs));
}

TEST_CASE("what is no regular file is refused at once, also a pipe without a writer", "[io]") {
  TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  std::signal(SIGALRM, [](int) { _exit(3); });
  alarm(20);
  CHECK_THROWS_WITH(load_safetensors(pipe), contains("not a regular file; got a device or pipe"));
  CHECK_THROWS_WITH(load_npz(pipe), contains("not a regular file"));
  CHECK_THROWS_WITH(load_npy(pipe), contains("not a regular file"));
  CHECK_THROWS_AS(save(pipe, "x"), IoError);
  alarm(0);
}

TEST_CASE("paths, devices and equations are quoted with their controls escaped, and cut", "[io]") {
  const std::string hostile(5000, '\x1b');
  auto message = [](auto f) -> std::string {
    try {
      f();
    } catch (const Error& e) { return e.what(); }
    return "no error";
  };
  for (const std::string& text :
       {message([&] { load_npy(hostile); }), message([&] { load_npz(hostile); }), message([&] { read_file(hostile); }),
        message([&] { load_idx(hostile); }), message([&] { save(hostile, "x"); }),
        message([&] { Device::parse(hostile); }), message([&] { einsum(hostile, {ones({1})}); })}) {
    INFO(text);
    CHECK(text.size() < 2000);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("\\x1b") != std::string::npos);
  }
}

TEST_CASE("what a file unpacks to is bounded by the caller", "[io]") {
  TemporaryFolder folder;
  save_npz(folder / "a.npz", {{"x", zeros({1000})}, {"y", zeros({1000})}});
  CHECK(load_npz(folder / "a.npz", 9000).size() == 2);
  CHECK_THROWS_WITH(load_npz(folder / "a.npz", 8000), contains("too large when unpacked"));
  std::string idx("\0\0\x08\x01\0\0\x10\0", 8);
  save(folder / "a.idx", idx + std::string(4096, '\1'));
  CHECK(load_idx(folder / "a.idx", 4096).numel() == 4096);
  CHECK_THROWS_WITH(load_idx(folder / "a.idx", 4095), contains("too large; got 4096 bytes of elements"));
  save(folder / "a.txt", std::string(1000, 'a'));
  CHECK(read_unpacked(folder / "a.txt", 1000).size() == 1000);
  CHECK_THROWS_AS(read_unpacked(folder / "a.txt", 999), IoError);
}
