// Promotion: torch's table for our ten dtypes, for tensors, 0-dim tensors and numbers.
#include "autograd/ops.h"
#include "tests/catch.h"
#include "tests/support/strided.h"

using namespace ink;
using namespace ink::test;

namespace {

// torch.promote_types(row, column), in the order of kAllDTypes. torch has no f16 with bf16 narrower than f32.
constexpr DType kTable[10][10] = {
    //           f32   f64   f16   bf16  c64   c128  i64   i32   u8    bool
    /* f32  */ {f32, f64, f32, f32, c64, c128, f32, f32, f32, f32},
    /* f64  */ {f64, f64, f64, f64, c128, c128, f64, f64, f64, f64},
    /* f16  */ {f32, f64, f16, f32, c64, c128, f16, f16, f16, f16},
    /* bf16 */ {f32, f64, f32, bf16, c64, c128, bf16, bf16, bf16, bf16},
    /* c64  */ {c64, c128, c64, c64, c64, c128, c64, c64, c64, c64},
    /* c128 */ {c128, c128, c128, c128, c128, c128, c128, c128, c128, c128},
    /* i64  */ {f32, f64, f16, bf16, c64, c128, i64, i64, i64, i64},
    /* i32  */ {f32, f64, f16, bf16, c64, c128, i64, i32, i32, i32},
    /* u8   */ {f32, f64, f16, bf16, c64, c128, i64, i32, u8, u8},
    /* bool */ {f32, f64, f16, bf16, c64, c128, i64, i32, u8, boolean}};

// tensor op number, per row: with a bool, an integer, a float, a complex number.
constexpr DType kNumbers[10][4] = {{f32, f32, f32, c64},    {f64, f64, f64, c128}, {f16, f16, f16, c64},
                                   {bf16, bf16, bf16, c64}, {c64, c64, c64, c64},  {c128, c128, c128, c128},
                                   {i64, i64, f32, c64},    {i32, i32, f32, c64},  {u8, u8, f32, c64},
                                   {boolean, i64, f32, c64}};
const Scalar kScalars[4] = {true, 2, 2.5, complex<double>(1, 2)};

Tensor of(DType t, const Shape& shape) { return full(shape, 1, t); }

}  // namespace

TEST_CASE("two dtypes promote as in torch", "[dtype]") {
  for (int i = 0; i < 10; ++i)
    for (int j = 0; j < 10; ++j) {
      INFO(name_of(kAllDTypes[i]) << " with " << name_of(kAllDTypes[j]));
      CHECK(promote(kAllDTypes[i], kAllDTypes[j]) == kTable[i][j]);
      CHECK(add(of(kAllDTypes[i], {2}), of(kAllDTypes[j], {2})).dtype() == kTable[i][j]);
      CHECK(where(full({2}, true, boolean), of(kAllDTypes[i], {2}), of(kAllDTypes[j], {2})).dtype() == kTable[i][j]);
      CHECK(cat({of(kAllDTypes[i], {2}), of(kAllDTypes[j], {2})}).dtype() == kTable[i][j]);
    }
}

TEST_CASE("a number matters only when its kind is above the tensor's", "[dtype]") {
  for (int i = 0; i < 10; ++i)
    for (int k = 0; k < 4; ++k) {
      INFO(name_of(kAllDTypes[i]) << " with number " << k);
      CHECK(promote(kAllDTypes[i], kScalars[k]) == kNumbers[i][k]);
      if (kNumbers[i][k] != boolean) CHECK(mul(of(kAllDTypes[i], {2}), kScalars[k]).dtype() == kNumbers[i][k]);
    }
  CHECK(promote(f64, kScalars[3]) == c128);
}

TEST_CASE("a 0-dim tensor counts like a number, but keeps its own precision above its kind", "[dtype]") {
  for (int i = 0; i < 10; ++i)
    for (int j = 0; j < 10; ++j) {
      DType many = kAllDTypes[i], one = kAllDTypes[j];
      DType expected = domain_of(one) <= domain_of(many) ? many : kTable[i][j];
      INFO(name_of(many) << " [2] with " << name_of(one) << " []");
      CHECK(add(of(many, {2}), of(one, {})).dtype() == expected);
      CHECK(add(of(one, {}), of(many, {2})).dtype() == expected);
      CHECK(add(of(many, {}), of(one, {})).dtype() == kTable[i][j]);
    }
}

TEST_CASE("true division and functions of integers give f32; comparisons bool; sums i64", "[dtype]") {
  for (DType t : {i64, i32, u8, boolean}) {
    INFO(name_of(t));
    Tensor x = of(t, {3});
    CHECK(div(x, x).dtype() == f32);
    CHECK(exp(x).dtype() == f32);
    CHECK(sigmoid(x).dtype() == f32);
    CHECK(sum(x).dtype() == i64);
    CHECK(prod(x).dtype() == i64);
    CHECK(cumsum(x, 0).dtype() == i64);
    CHECK(max(x).dtype() == t);
    CHECK((x == x).dtype() == boolean);
    CHECK(argmax(x).dtype() == i64);
  }
  for (DType t : {f32, f64, f16, bf16}) {
    CHECK(exp(of(t, {3})).dtype() == t);
    CHECK(sum(of(t, {3})).dtype() == t);
    CHECK((of(t, {3}) < 2).dtype() == boolean);
  }
  CHECK(abs(of(c64, {2})).dtype() == f32);
  CHECK(abs(of(c128, {2})).dtype() == f64);
  CHECK(real(of(c64, {2})).dtype() == f32);
  CHECK(complex_of(of(f16, {2}), of(f16, {2})).dtype() == c64);
}

TEST_CASE("names, sizes and kinds", "[dtype]") {
  const char* names[] = {"f32", "f64", "f16", "bf16", "c64", "c128", "i64", "i32", "u8", "bool"};
  const int64_t sizes[] = {4, 8, 2, 2, 8, 16, 8, 4, 1, 1};
  for (int i = 0; i < 10; ++i) {
    CHECK(std::string(name_of(kAllDTypes[i])) == names[i]);
    CHECK(size_of(kAllDTypes[i]) == sizes[i]);
    CHECK(is_differentiable(kAllDTypes[i]) == (i < 6));
    CHECK(is_integral(kAllDTypes[i]) == (i >= 6));
  }
}

TEST_CASE("casts between all dtypes keep small whole numbers", "[dtype]") {
  for (DType from : kAllDTypes)
    for (DType to_dtype : kAllDTypes) {
      INFO(name_of(from) << " to " << name_of(to_dtype));
      Tensor x = to(tensor({0, 1, 3}, f64), from), y = to(x, to_dtype);
      bool bits = from == boolean || to_dtype == boolean;
      CHECK(y.dtype() == to_dtype);
      CHECK(to(y, f64).to_vector<double>() == std::vector<double>{0, 1, bits ? 1. : 3.});
    }
  // towards zero, and the real part of a complex number
  CHECK(to(tensor({-1.7, 1.7}), i32).to_vector<int64_t>() == std::vector<int64_t>{-1, 1});
  CHECK(to(full({1}, complex<double>(2.5, 4), c128), f32).item() == 2.5);
  CHECK(to(full({1}, complex<double>(0, 4), c128), boolean).item<bool>());
}
