#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>

#include "autograd/ops.h"
#include "tensor/io.h"
#include "tensor/raw.h"
#include "tests/catch.h"
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
  CHECK((a.nbytes() == b.nbytes() && std::memcmp(a.raw_data(), b.raw_data(), size_t(a.nbytes())) == 0));
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
