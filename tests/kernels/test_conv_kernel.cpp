// The convolution kernels against seven nested loops in f64.
#include <cmath>
#include <random>
#include <vector>

#include "tensor/backend/kernels.h"
#include "tensor/parallel.h"
#include "tests/catch.h"

using namespace ink;

namespace {

int64_t output_size(int64_t n, int64_t k, int64_t stride, int64_t pad, int64_t dilation) {
  int64_t span = n + 2 * pad - dilation * (k - 1) - 1;
  return span < 0 ? 0 : span / stride + 1;
}

ConvArgs conv_args(DType t, int64_t batch, int64_t in, int64_t out, int64_t h, int64_t w, int64_t kh, int64_t kw,
                   int64_t stride = 1, int64_t pad = 0, int64_t dilation = 1, int64_t groups = 1) {
  ConvArgs a{{h, w, kh, kw, 0, 0, stride, stride, pad, pad, dilation, dilation}, t, batch, in, out, groups};
  a.oh = output_size(h, kh, a.stride_h, a.pad_h, a.dilation_h);
  a.ow = output_size(w, kw, a.stride_w, a.pad_w, a.dilation_w);
  return a;
}

// f(position in y, in weight, in x) for every product of the convolution.
template <class F> void for_each_product(const ConvArgs& a, F f) {
  int64_t ig = a.in / a.groups, og = a.out / a.groups;
  for (int64_t n = 0; n < a.batch; n++)
    for (int64_t o = 0; o < a.out; o++)
      for (int64_t p = 0; p < a.oh; p++)
        for (int64_t q = 0; q < a.ow; q++)
          for (int64_t i = 0; i < ig; i++)
            for (int64_t r = 0; r < a.kh; r++)
              for (int64_t s = 0; s < a.kw; s++) {
                int64_t y = p * a.stride_h - a.pad_h + r * a.dilation_h,
                        x = q * a.stride_w - a.pad_w + s * a.dilation_w;
                if (y >= 0 && y < a.h && x >= 0 && x < a.w)
                  f(((n * a.out + o) * a.oh + p) * a.ow + q, ((o * ig + i) * a.kh + r) * a.kw + s,
                    ((n * a.in + o / og * ig + i) * a.h + y) * a.w + x);
              }
}

std::mt19937 generator(7);

template <class T> std::vector<T> noise(int64_t n) {
  std::normal_distribution<double> normal;
  std::vector<T> v(n);
  for (T& e : v) e = T(normal(generator));
  return v;
}

// |got - want| within a few roundings of the products' magnitudes, and not one value written past the end.
template <class T>
bool near(const std::vector<T>& got, const std::vector<double>& want, const std::vector<double>& size) {
  for (size_t i = 0; i < want.size(); i++)
    if (!(std::abs(double(got[i]) - want[i]) <= 8 * std::numeric_limits<T>::epsilon() * (size[i] + 1))) return false;
  for (size_t i = want.size(); i < got.size(); i++)
    if (got[i] != T(77)) return false;
  return true;
}

template <class T> void check(const ConvArgs& a) {
  int64_t nx = a.batch * a.in * a.h * a.w, ny = a.batch * a.out * a.oh * a.ow,
          nw = a.out * (a.in / a.groups) * a.kh * a.kw;
  INFO("batch " << a.batch << " in " << a.in << " out " << a.out << " groups " << a.groups << " image " << a.h << "x"
                << a.w << " kernel " << a.kh << "x" << a.kw << " stride " << a.stride_h << "," << a.stride_w << " pad "
                << a.pad_h << "," << a.pad_w << " dilation " << a.dilation_h << "," << a.dilation_w << " bytes "
                << sizeof(T));
  auto x = noise<T>(nx), w = noise<T>(nw), bias = noise<T>(a.out), dy = noise<T>(ny);
  const int64_t guard = 64;
  std::vector<T> y(ny + guard, T(77)), plain(ny + guard, T(77)), dx(nx + guard, T(77)), dw(nw + guard, T(77));
  const Kernels& k = kernels(Device::cpu());
  k.conv2d(a, y.data(), x.data(), w.data(), bias.data());
  k.conv2d(a, plain.data(), x.data(), w.data(), nullptr);
  k.conv2d_backward_input(a, dx.data(), dy.data(), w.data());
  k.conv2d_backward_weight(a, dw.data(), dy.data(), x.data());

  std::vector<double> ry(ny), sy(ny), rx(nx), sx(nx), rw(nw), sw(nw);
  for_each_product(a, [&](int64_t o, int64_t j, int64_t i) {
    auto add = [](double& sum, double& size, double p) { sum += p, size += std::abs(p); };
    add(ry[o], sy[o], double(w[j]) * x[i]);
    add(rx[i], sx[i], double(w[j]) * dy[o]);
    add(rw[j], sw[j], double(dy[o]) * x[i]);
  });
  CHECK(near(plain, ry, sy));
  for (int64_t i = 0; i < ny; i++) ry[i] += bias[i / (a.oh * a.ow) % a.out];
  CHECK(near(y, ry, sy));
  CHECK(near(dx, rx, sx));
  CHECK(near(dw, rw, sw));
}

void check_both(ConvArgs a) {
  a.dtype = DType::f32;
  check<float>(a);
  a.dtype = DType::f64;
  check<double>(a);
}

}  // namespace

TEST_CASE("convolutions agree with nested loops for the usual layers", "[conv]") {
  check_both(conv_args(f32, 2, 16, 32, 28, 28, 3, 3, 1, 1));
  check_both(conv_args(f32, 2, 32, 64, 14, 14, 3, 3, 1, 1));
  check_both(conv_args(f32, 3, 64, 48, 7, 7, 3, 3, 1, 1));
  check_both(conv_args(f32, 2, 1, 32, 28, 28, 3, 3, 1, 1));
  check_both(conv_args(f32, 2, 32, 1, 28, 28, 1, 1));
  check_both(conv_args(f32, 2, 32, 40, 9, 9, 1, 1));
  check_both(conv_args(f32, 2, 64, 32, 14, 14, 2, 2, 2));
  check_both(conv_args(f32, 2, 3, 16, 33, 35, 7, 7, 2, 3));
  check_both(conv_args(f32, 2, 24, 24, 20, 20, 3, 3, 1, 1, 1, 24));
  check_both(conv_args(f32, 2, 24, 48, 21, 21, 3, 3, 2, 1, 1, 24));
  check_both(conv_args(f32, 2, 32, 64, 12, 12, 3, 3, 1, 2, 2, 2));
  check_both(conv_args(f32, 2, 8, 16, 1, 100, 1, 5, 1, 0));
  check_both(conv_args(f32, 1, 2, 17, 70, 90, 5, 3, 1, 2));
}

TEST_CASE("convolutions of any stride, padding, dilation and grouping agree with nested loops", "[conv]") {
  auto draw = [](int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(generator); };
  for (int round = 0; round < 400; round++) {
    ConvArgs a{};
    a.groups = draw(0, 2) ? 1 : draw(1, 5);
    a.batch = draw(1, 3), a.in = a.groups * draw(1, round % 4 ? 4 : 20), a.out = a.groups * draw(1, round % 5 ? 5 : 40);
    a.h = draw(1, 20), a.w = draw(1, round % 3 ? 20 : 40);
    a.kh = draw(1, 4), a.kw = draw(1, 4);
    a.stride_h = draw(1, 3), a.stride_w = draw(1, 3), a.dilation_h = draw(1, 3), a.dilation_w = draw(1, 3);
    a.pad_h = draw(0, 3), a.pad_w = draw(0, 3);
    a.oh = output_size(a.h, a.kh, a.stride_h, a.pad_h, a.dilation_h);
    a.ow = output_size(a.w, a.kw, a.stride_w, a.pad_w, a.dilation_w);
    if (a.oh > 0 && a.ow > 0) check_both(a);
  }
}

TEST_CASE("convolutions of no image give zero gradients", "[conv]") {
  check_both(conv_args(f32, 0, 3, 4, 5, 5, 3, 3, 1, 1));
  check_both(conv_args(f32, 0, 16, 32, 8, 8, 3, 3, 1, 1));
  check_both(conv_args(f32, 1, 1, 1, 1, 1, 1, 1));
}

TEST_CASE("convolutions give the same bits for any number of threads", "[conv]") {
  ConvArgs a = conv_args(f32, 5, 20, 36, 17, 17, 3, 3, 1, 1);
  int64_t nx = a.batch * a.in * a.h * a.w, ny = a.batch * a.out * a.oh * a.ow, nw = a.out * a.in * 9;
  auto x = noise<float>(nx), w = noise<float>(nw), dy = noise<float>(ny);
  std::vector<float> results[2];
  int threads[] = {1, 3}, before = num_threads();
  for (int i = 0; i < 2; i++) {
    std::vector<float>& r = results[i];
    r.resize(ny + nx + nw);
    set_num_threads(threads[i]);
    kernels(Device::cpu()).conv2d(a, r.data(), x.data(), w.data(), nullptr);
    kernels(Device::cpu()).conv2d_backward_input(a, r.data() + ny, dy.data(), w.data());
    kernels(Device::cpu()).conv2d_backward_weight(a, r.data() + ny + nx, dy.data(), x.data());
  }
  set_num_threads(before);
  CHECK(results[0] == results[1]);
}
