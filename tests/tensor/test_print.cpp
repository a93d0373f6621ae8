// Golden texts are PyTorch 1.13's, with our names of dtypes; tests/house/exchange.py compares many more where torch is
// present.
#include <cmath>

#include "autograd/ops.h"
#include "tensor/raw/raw.h"
#include "tests/catch.h"

using namespace ink;

TEST_CASE("numbers print with one format and one width", "[print]") {
  CHECK(to(arange(6), f32).str() == "tensor([0., 1., 2., 3., 4., 5.])");
  CHECK(tensor({0.5, -1, 2}).str() == "tensor([ 0.5000, -1.0000,  2.0000])");
  CHECK(tensor({0.5, -1, 1e-5, 1000}).str() == "tensor([ 5.0000e-01, -1.0000e+00,  1.0000e-05,  1.0000e+03])");
  CHECK(tensor({1e9, 1}).str() == "tensor([1.0000e+09, 1.0000e+00])");
  CHECK(tensor({3.14159265, 2}).str(6) == "tensor([3.141593, 2.000000])");
  CHECK(arange(-1, 3).str() == "tensor([-1,  0,  1,  2])");
  CHECK(tensor({1, 0, 1}, boolean).str() == "tensor([ True, False,  True])");
  CHECK(full({3}, complex<float>(1.5, -2), c64).str() == "tensor([1.5000-2.j, 1.5000-2.j, 1.5000-2.j])");
}

TEST_CASE("NaN and infinities print in the column of the others", "[print]") {
  CHECK(tensor({1, NAN, INFINITY, -INFINITY, -0.0}).str() == "tensor([1., nan, inf, -inf, -0.])");
  CHECK(tensor({1.5, NAN, INFINITY, -INFINITY, -0.0}).str() == "tensor([1.5000,    nan,    inf,   -inf, -0.0000])");
  CHECK(tensor({-NAN, 0}).str() == "tensor([nan, 0.])");
}

TEST_CASE("0-dim, empty and undefined tensors print what they are", "[print]") {
  CHECK(full({}, 2.5, f64).str() == "tensor(2.5000, dtype=f64)");
  CHECK(Tensor(Scalar(7)).str() == "tensor(7)");
  CHECK(zeros({0}).str() == "tensor([])");
  CHECK(zeros({0}, i64).str() == "tensor([], dtype=i64)");
  CHECK(zeros({2, 0}, f64).str() == "tensor([], size=[2, 0], dtype=f64)");
  CHECK(Tensor().str() == "tensor(undefined)");
}

TEST_CASE("nested dims print in nested brackets, a long row in several lines", "[print]") {
  CHECK(arange(12).reshape({2, 2, 3}).str() ==
        "tensor([[[ 0,  1,  2],\n"
        "         [ 3,  4,  5]],\n"
        "\n"
        "        [[ 6,  7,  8],\n"
        "         [ 9, 10, 11]]])");
  CHECK((arange(18) * 100000).str() ==
        "tensor([      0,  100000,  200000,  300000,  400000,  500000,  600000,  700000,\n"
        "         800000,  900000, 1000000, 1100000, 1200000, 1300000, 1400000, 1500000,\n"
        "        1600000, 1700000])");
  CHECK(arange(6).reshape({2, 3}).t().str() == "tensor([[0, 3],\n        [1, 4],\n        [2, 5]])");
}

TEST_CASE("above 1,000 elements three of each end are shown", "[print]") {
  CHECK(arange(1000).str().find("...") == std::string::npos);
  CHECK(linspace(0, 1, 1001).str() == "tensor([0.0000, 0.0010, 0.0020,  ..., 0.9980, 0.9990, 1.0000])");
  CHECK(arange(2000).reshape({2, 1000}).str() ==
        "tensor([[   0,    1,    2,  ...,  997,  998,  999],\n"
        "        [1000, 1001, 1002,  ..., 1997, 1998, 1999]])");
  CHECK(zeros({500, 3}, u8).str() ==
        "tensor([[0, 0, 0],\n"
        "        [0, 0, 0],\n"
        "        [0, 0, 0],\n"
        "        ...,\n"
        "        [0, 0, 0],\n"
        "        [0, 0, 0],\n"
        "        [0, 0, 0]], dtype=u8)");
}

TEST_CASE("what is not the default is noted behind the elements", "[print]") {
  CHECK(tensor({0.5, 0.25}, f16).str() == "tensor([0.5000, 0.2500], dtype=f16)");
  CHECK(tensor({0.5, 0.25}).requires_grad_().str() == "tensor([0.5000, 0.2500], requires_grad)");
  CHECK(tensor({0.5, 0.25}, bf16).requires_grad_().str() == "tensor([0.5000, 0.2500], dtype=bf16, requires_grad)");
  // The note goes to a line of its own where the last one is full.
  CHECK((arange(9) * 100000).to(f64).str() ==
        "tensor([     0., 100000., 200000., 300000., 400000., 500000., 600000., 700000.,\n"
        "        800000.], dtype=f64)");
  CHECK((arange(8) * 10 + 0.5).to(f64).str() ==
        "tensor([ 0.5000, 10.5000, 20.5000, 30.5000, 40.5000, 50.5000, 60.5000, 70.5000],\n"
        "       dtype=f64)");
}
