// The pooling kernels against plain loops in f64.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tensor/backend/kernels.h"
#include "tests/catch.h"

using namespace ink;

namespace {

std::mt19937 generator(11);
int64_t draw(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(generator); }

// Sizes as the caller computes them; with `ceil` the last window may reach beyond the padded plane but starts inside.
int64_t output_size(int64_t n, int64_t k, int64_t stride, int64_t pad, int64_t dilation, bool ceil) {
  int64_t span = n + 2 * pad - dilation * (k - 1) - 1;
  if (span < 0) return 0;
  int64_t size = (span + (ceil ? stride - 1 : 0)) / stride + 1;
  return ceil && (size - 1) * stride >= n + pad ? size - 1 : size;
}

PoolArgs pool_args(int64_t planes, int64_t h, int64_t w, int64_t k, int64_t stride, int64_t pad = 0,
                   bool ceil = false) {
  PoolArgs a{{h, w, k, k, 0, 0, stride, stride, pad, pad, 1, 1}, DType::f32, planes, true};
  a.oh = output_size(h, k, stride, pad, 1, ceil);
  a.ow = output_size(w, k, stride, pad, 1, ceil);
  return a;
}

// f(output position, position in x) for all positions of all windows inside the planes, in order.
template <class F> void for_each_member(const PoolArgs& a, F f) {
  for (int64_t o = 0; o < a.planes * a.oh * a.ow; o++) {
    int64_t j = o / (a.oh * a.ow), p = o / a.ow % a.oh, q = o % a.ow;
    for (int64_t r = 0; r < a.kh; r++)
      for (int64_t s = 0; s < a.kw; s++) {
        int64_t y = p * a.stride_h - a.pad_h + r * a.dilation_h, x = q * a.stride_w - a.pad_w + s * a.dilation_w;
        if (y >= 0 && y < a.h && x >= 0 && x < a.w) f(o, (j * a.h + y) * a.w + x);
      }
  }
}

template <class T> void check_max(const PoolArgs& a, bool with_nan) {
  INFO("planes " << a.planes << " of " << a.h << "x" << a.w << " window " << a.kh << "x" << a.kw << " stride "
                 << a.stride_h << "," << a.stride_w << " pad " << a.pad_h << "," << a.pad_w << " dilation "
                 << a.dilation_h);
  std::vector<T> x(a.planes * a.h * a.w);
  for (T& v : x) v = T(draw(-4, 4));  // few values: many ties
  if (with_nan)
    for (T& v : x)
      if (draw(0, 9) == 0) v = std::numeric_limits<T>::quiet_NaN();
  int64_t ny = a.planes * a.oh * a.ow;
  std::vector<T> y(ny + 40, T(77));
  std::vector<int64_t> at(ny + 40, 77), want(ny, -1);
  kernels(Device::cpu()).max_pool2d(a, y.data(), at.data(), x.data());
  for_each_member(a, [&](int64_t o, int64_t i) {
    int64_t& w = want[o];
    if (w < 0 || x[i] > x[w] || (std::isnan(x[i]) && !std::isnan(x[w]))) w = i;
  });
  bool good = true;
  for (int64_t o = 0; o < ny; o++) {
    T v = x[want[o]];
    good &= at[o] == want[o] % (a.h * a.w) && (std::isnan(v) ? std::isnan(y[o]) : y[o] == v);
  }
  for (int64_t o = ny; o < ny + 40; o++) good &= y[o] == T(77) && at[o] == 77;
  CHECK(good);
}

template <class T> void check_mean(const PoolArgs& a) {
  INFO("planes " << a.planes << " of " << a.h << "x" << a.w << " window " << a.kh << "x" << a.kw << " stride "
                 << a.stride_h << "," << a.stride_w << " pad " << a.pad_h << "," << a.pad_w << " include "
                 << a.count_include_pad);
  int64_t nx = a.planes * a.h * a.w, ny = a.planes * a.oh * a.ow;
  std::vector<T> x(nx), dy(ny), y(ny + 40, T(77)), dx(nx + 40, T(77));
  for (T& v : x) v = T(draw(-1000, 1000)) / T(100);
  for (T& v : dy) v = T(draw(-1000, 1000)) / T(100);
  std::vector<double> wy(ny), wx(nx), count(ny);
  for (int64_t o = 0; o < ny; o++)
    for (int64_t r = 0; r < a.kh; r++)
      for (int64_t s = 0; s < a.kw; s++)
        count[o] += a.count_include_pad && o / a.ow % a.oh * a.stride_h + r * a.dilation_h < a.h + 2 * a.pad_h &&
                    o % a.ow * a.stride_w + s * a.dilation_w < a.w + 2 * a.pad_w;
  if (!a.count_include_pad) for_each_member(a, [&](int64_t o, int64_t) { count[o] += 1; });
  for_each_member(a, [&](int64_t o, int64_t i) {
    wy[o] += x[i] / count[o];
    wx[i] += dy[o] / count[o];
  });
  kernels(Device::cpu()).avg_pool2d(a, y.data(), x.data());
  kernels(Device::cpu()).avg_pool2d_backward(a, dx.data(), dy.data());
  double bound = 400 * std::numeric_limits<T>::epsilon();
  bool good = true;
  for (int64_t o = 0; o < ny; o++) good &= std::abs(y[o] - wy[o]) <= bound;
  for (int64_t i = 0; i < nx; i++) good &= std::abs(dx[i] - wx[i]) <= bound;
  for (int64_t i = 0; i < 40; i++) good &= y[ny + i] == T(77) && dx[nx + i] == T(77);
  CHECK(good);
}

void check_all(PoolArgs a) {
  for (bool with_nan : {false, true}) {
    a.dtype = DType::f32;
    check_max<float>(a, with_nan);
    a.dtype = DType::f64;
    check_max<double>(a, with_nan);
  }
  for (bool include : {false, true}) {
    a.count_include_pad = include;
    a.dtype = DType::f32;
    check_mean<float>(a);
    a.dtype = DType::f64;
    check_mean<double>(a);
  }
}

}  // namespace

TEST_CASE("pooling agrees with plain loops for the usual windows", "[pool]") {
  for (int64_t n : {2, 3, 7, 14, 28, 32, 33, 66, 100}) check_all(pool_args(5, n, n, 2, 2));
  check_all(pool_args(70, 28, 30, 2, 2));
  check_all(pool_args(3, 30, 30, 3, 2, 1));
  check_all(pool_args(3, 31, 29, 3, 1, 1));
  check_all(pool_args(3, 9, 9, 2, 2, 0, true));
  check_all(pool_args(3, 10, 10, 3, 3, 1, true));
  check_all(pool_args(0, 8, 8, 2, 2));
}

TEST_CASE("pooling of any window, stride, padding and dilation agrees with plain loops", "[pool]") {
  for (int round = 0; round < 300; round++) {
    PoolArgs a{};
    a.planes = draw(1, 4), a.h = draw(1, 20), a.w = draw(1, 40);
    a.kh = draw(1, 4), a.kw = draw(1, 4);
    a.stride_h = draw(1, 3), a.stride_w = draw(1, 3);
    a.pad_h = draw(0, a.kh / 2), a.pad_w = draw(0, a.kw / 2);
    a.dilation_h = round % 3 ? 1 : draw(1, 3), a.dilation_w = round % 3 ? 1 : draw(1, 3);
    bool ceil = draw(0, 1);
    a.oh = output_size(a.h, a.kh, a.stride_h, a.pad_h, a.dilation_h, ceil);
    a.ow = output_size(a.w, a.kw, a.stride_w, a.pad_w, a.dilation_w, ceil);
    int64_t inside = 0;  // every window must hold at least one value
    std::vector<int> holds(a.planes * a.oh * a.ow);
    for_each_member(a, [&](int64_t o, int64_t) { inside += holds[o]++ == 0; });
    if (inside == a.planes * a.oh * a.ow && inside > 0) check_all(a);
  }
}
