#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "autograd/ops.h"
#include "tensor/io.h"
#include "tensor/raw/raw.h"
#include "tests/catch.h"
#include "tests/support/deflate.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

// Tensors of every dtype and of every awkward shape: 0-dim, empty, transposed, sliced, expanded.
NamedTensors samples(std::initializer_list<DType> dtypes) {
  NamedTensors list;
  for (DType t : dtypes) {
    Tensor x = to(arange(24) - 7, t).reshape({2, 3, 4});
    std::string name = name_of(t);
    list.emplace_back(name, x);
    list.emplace_back(name + ".scalar", x.select(0, 1).select(0, 2).select(0, 3));
    list.emplace_back(name + ".empty", x.slice(1, 0, 0));
    list.emplace_back(name + ".transposed", x.transpose(0, 2));
    list.emplace_back(name + ".sliced", x.slice(2, 1, 4, 2));
    list.emplace_back(name + ".expanded", x.slice(0, 0, 1).expand({5, 3, 4}));
  }
  return list;
}

void check_equal(const Tensor& got, const Tensor& want) {
  CHECK(got.dtype() == want.dtype());
  CHECK(got.shape() == want.shape());
  Tensor a = raw::contiguous(got), b = raw::contiguous(want);
  auto bytes = [](const Tensor& t) {
    return std::string_view(static_cast<const char*>(t.raw_data()), size_t(t.nbytes()));
  };
  CHECK((bytes(a) == bytes(b)));
}

void check_equal(const NamedTensors& got, const NamedTensors& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    INFO(want[i].first);
    CHECK(got[i].first == want[i].first);
    check_equal(got[i].second, want[i].second);
  }
}

}  // namespace

TEST_CASE("safetensors gives back every dtype, shape, name and the metadata", "[io]") {
  TemporaryFolder folder;
  NamedTensors all = samples({f32, f64, f16, bf16, c64, i64, i32, u8, boolean});
  all.emplace_back("quotes \" \\ and \n and \u00e9\u4e2d\U0001f600", ones({2}));
  std::vector<std::pair<std::string, std::string>> metadata = {{"step", "12"}, {"note", "a \"b\"\t\u00fc"}}, got;
  save_safetensors(folder / "a", all, metadata);
  check_equal(load_safetensors(folder / "a", &got), all);
  CHECK(got == metadata);
  save_safetensors(folder / "none", {});
  CHECK(load_safetensors(folder / "none", &got).empty());
  CHECK(got.empty());
}

TEST_CASE("safetensors refuses to write what the format cannot hold", "[io]") {
  TemporaryFolder folder;
  std::string path = folder / "a";
  CHECK_THROWS_WITH(save_safetensors(path, {{"z", zeros({2}, c128)}}), contains("'z'") && contains("got c128"));
  CHECK_THROWS_WITH(save_safetensors(path, {{"w", ones({2})}, {"w", ones({2})}}),
                    contains("a name stands twice; got 'w'"));
  CHECK_THROWS_WITH(save_safetensors(path, {{"w", Tensor()}}), contains("'w' is undefined"));
  CHECK_THROWS_WITH(save_safetensors(path, {{"__metadata__", ones({1})}}), contains("belongs to the format"));
  CHECK_THROWS_WITH(save_safetensors(path, {{"\xff", ones({1})}}), contains("not UTF-8"));
  CHECK_THROWS_AS(save_safetensors(path, {{"z", zeros({2}, c128)}}), DTypeError);
  CHECK(folder.files().empty());
}

TEST_CASE("npy and npz give back every dtype NumPy has", "[io]") {
  TemporaryFolder folder;
  NamedTensors all = samples({f32, f64, f16, c64, c128, i64, i32, u8, boolean});
  for (const auto& [name, x] : all) {
    INFO(name);
    save_npy(folder / "a.npy", x);
    check_equal(load_npy(folder / "a.npy"), x);
  }
  save_npz(folder / "a.npz", all);
  check_equal(load_npz(folder / "a.npz"), all);
  save_npz(folder / "none.npz", {});
  CHECK(load_npz(folder / "none.npz").empty());
  CHECK_THROWS_WITH(save_npy(folder / "b", ones({2}, bf16)),
                    contains("NumPy has no such dtype; got bf16; hint: to(f32)"));
  CHECK_THROWS_AS(save_npz(folder / "b", {{"x", ones({2}, bf16)}}), DTypeError);
  CHECK_THROWS_WITH(save_npz(folder / "b", {{"x", ones({2})}, {"x", ones({2})}}),
                    contains("a name stands twice; got 'x'"));
  CHECK_THROWS_WITH(save_npz(folder / "b", {{"x", Tensor()}}), contains("'x' is undefined"));
  CHECK_THROWS_WITH(save_npy(folder / "b", Tensor()), contains("undefined"));
  CHECK(folder.files().size() == 3);
}

TEST_CASE("an .npy header is padded so that the elements start at a multiple of 64 bytes", "[io]") {
  TemporaryFolder folder;
  save_npy(folder / "a", ones({3, 2}, u8));
  std::string bytes = read_file(folder / "a");
  CHECK(bytes.size() == 128 + 6);
  CHECK(bytes.substr(10, 59) == "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2), }");
}

TEST_CASE("IDX files are read plain and gzipped, big-endian", "[io]") {
  TemporaryFolder folder;
  auto be = [](uint32_t v) { return std::string{char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; };
  std::string floats = std::string("\0\0\x0d\2", 4) + be(1) + be(2) + be(0x3f800000) + be(0xc0200000);
  write_file_atomically(folder / "f", floats);
  check_equal(load_idx(folder / "f"), tensor({{1, -2.5}}));
  std::string ints = std::string("\0\0\x0c\1", 4) + be(2) + be(258) + be(uint32_t(-3));
  write_file_atomically(folder / "i", gzipped(ints));
  check_equal(load_idx(folder / "i"), tensor({258, -3}, i32));
  CHECK(read_unpacked(folder / "i") == ints);
  CHECK(read_unpacked(folder / "f") == floats);
  write_file_atomically(folder / "zeros", gzipped(std::string(10000, '\0')));
  CHECK(read_unpacked(folder / "zeros", 10000).size() == 10000);
  CHECK_THROWS_WITH(read_unpacked(folder / "zeros", 9999),
                    contains("too large when unpacked; expected at most 9999 bytes"));

  Tensor images = load_idx(INK_SOURCE_DIR "/examples/data/digits-images-idx3-ubyte.gz");
  CHECK(images.shape() == Shape{1797, 8, 8});
  CHECK(images.dtype() == u8);
}

TEST_CASE("a file that cannot be read or written is named with the cause", "[io]") {
  TemporaryFolder folder;
  CHECK_THROWS_AS(load_npy(folder / "none"), IoError);
  CHECK_THROWS_WITH(load_npy(folder / "none"),
                    contains("load_npy: cannot open") && contains("none") && contains("No such file"));
  CHECK_THROWS_WITH(load_safetensors(folder / ""), contains("not a regular file; got a folder"));
  CHECK_THROWS_WITH(load_npz("/dev/null"), contains("not a regular file; got a device or pipe"));
  CHECK_THROWS_WITH(save_npy(folder / "no/such/folder", ones({2})),
                    contains("save_npy: cannot create") && contains("No such file"));
  CHECK_THROWS_WITH(save_npy(folder / "", ones({2})), contains("it is a folder"));
  CHECK_THROWS_WITH(save_npy("/dev/full", ones({2})), contains("it is a device or pipe"));
  CHECK_THROWS_WITH(read_file(folder / ""), contains("cannot read"));
  CHECK_THROWS_WITH(read_file(std::string("a\0b", 3)), contains("zero byte"));
  write_file_atomically(folder / "ten", "0123456789");
  CHECK(read_file(folder / "ten", 10) == "0123456789");
  CHECK_THROWS_WITH(read_file(folder / "ten", 9), contains("too large; got 10 bytes or more; expected at most 9"));
  CHECK(folder.files().size() == 1);
}

TEST_CASE("a save that fails leaves the old file, and no temporary one", "[io]") {
  TemporaryFolder folder;
  save_npy(folder / "a", arange(3));
  save_npz(folder / "b", {{"x", arange(3)}});
  save_safetensors(folder / "c", {{"x", arange(3)}});
  // As on a full disk, no file may grow beyond 1,000 bytes.
  auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old, small;
  getrlimit(RLIMIT_FSIZE, &old);
  small = old;
  small.rlim_cur = 1000;
  setrlimit(RLIMIT_FSIZE, &small);
  std::string errors[3];
  auto attempt = [](auto save) {
    try {
      save();
    } catch (const IoError& e) { return std::string(e.what()); }
    return std::string("saved");
  };
  errors[0] = attempt([&] { save_npy(folder / "a", zeros({1000})); });
  errors[1] = attempt([&] { save_npz(folder / "b", {{"x", zeros({1000})}}); });
  errors[2] = attempt([&] { save_safetensors(folder / "c", {{"x", zeros({1000})}}); });
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, before);
  for (const std::string& e : errors) CHECK_THAT(e, contains("cannot write") && contains("File too large"));
  CHECK(folder.files().size() == 3);
  check_equal(load_npy(folder / "a"), arange(3));
  check_equal(load_npz(folder / "b")[0].second, arange(3));
  check_equal(load_safetensors(folder / "c")[0].second, arange(3));
}

TEST_CASE("a save keeps the rights of the file it replaces, and a link stays a link", "[io]") {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  chmod((folder / "a").c_str(), 0640);
  std::filesystem::create_symlink("a", folder / "link");
  write_file_atomically(folder / "link", "new");
  CHECK(read_file(folder / "a") == "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  struct stat info;
  REQUIRE(stat((folder / "a").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0640);
}
