#include "tests/catch.h"
#include "tests/support/gradients.h"

using namespace ink;
using namespace ink::test;

namespace {

// The definition, by windows: pad, cut windows, multiply, sum. Dilation by windows of the dilated reach, every d-th
// kept.
Tensor windows(const Tensor& x, int64_t dim, int64_t kernel, const ConvOptions& o) {
  return slice(unfold(x, dim, o.dilation * (kernel - 1) + 1, o.stride), -1, 0, 1 << 20, o.dilation);
}
Tensor naive(const Tensor& x, const Tensor& w, const ConvOptions& o) {
  const int64_t p = o.padding, out = w.size(0) / o.groups;
  Tensor padded = pad(x, {p, p, p, p});
  std::vector<Tensor> results;
  for (int64_t g = 0; g < o.groups; ++g) {
    Tensor part = narrow(padded, 1, g * w.size(1), w.size(1));              // [b, i, h, w]
    Tensor cut = windows(windows(part, 2, w.size(2), o), 3, w.size(3), o);  // [b, i, oh, ow, kh, kw]
    Tensor flat = reshape(permute(cut, {0, 2, 3, 1, 4, 5}), {x.size(0), cut.size(2), cut.size(3), -1});
    Tensor y = matmul(flat, transpose(reshape(narrow(w, 0, g * out, out), {out, -1}), 0, 1));
    results.push_back(permute(y, {0, 3, 1, 2}));
  }
  return cat(results, 1);
}

const ConvOptions kForms[] = {{},
                              {.padding = 1},
                              {.stride = 2, .padding = 2},
                              {.padding = 2, .dilation = 2},
                              {.padding = 1, .groups = 2},
                              {.stride = 2, .padding = 1, .dilation = 2, .groups = 2}};
std::string text(const ConvOptions& o) {
  return "stride " + std::to_string(o.stride) + " padding " + std::to_string(o.padding) + " dilation " +
         std::to_string(o.dilation) + " groups " + std::to_string(o.groups);
}

}  // namespace

TEST_CASE("conv2d and conv1d are sums over windows", "[conv]") {
  Tensor x = normal({2, 4, 7, 8}, 1), bias = normal({6}, 3);
  for (const ConvOptions& o : kForms) {
    INFO(text(o));
    Tensor w = normal({6, 4 / o.groups, 3, 3}, 2);
    CHECK(difference(conv2d(x, w, {}, o), naive(x, w, o)) < 1e-13);
    CHECK(difference(conv2d(x, w, bias, o), naive(x, w, o) + reshape(bias, {6, 1, 1})) < 1e-13);
    CHECK(difference(conv2d(transpose(x, 2, 3), w, {}, o), naive(contiguous(transpose(x, 2, 3)), w, o)) < 1e-13);
    Tensor line = select(x, 2, 0), kernel = select(w, 2, 1);
    if (o.padding % o.stride == 0) {  // a line is the row of a picture that the padding rows do not reach
      Tensor rows = naive(unsqueeze(line, 2), unsqueeze(kernel, 2), o);
      CHECK(difference(conv1d(line, kernel, {}, o), select(rows, 2, o.padding / o.stride)) < 1e-13);
    }
  }
}

TEST_CASE("the transposed convolution is the adjoint of the convolution", "[conv]") {
  for (const ConvOptions& o : kForms) {
    INFO(text(o));
    Tensor w = normal({6, 4 / o.groups, 3, 3}, 2), x = normal({2, 4, 9, 9}, 1), y = conv2d(x, w, {}, o),
           u = normal(y.shape(), 3);
    ConvOptions t = o;  // the size that strides cut off comes back as output_padding
    t.output_padding = (9 + 2 * o.padding - o.dilation * 2 - 1) % o.stride;
    Tensor back = conv_transpose2d(u, w, {}, t);
    REQUIRE(back.shape() == x.shape());
    CHECK(sum(u * y).item() == Approx(sum(back * x).item()));
    Tensor line = normal({2, 4, 9}, 4), kernel = select(w, 3, 0), image = conv1d(line, kernel, {}, o),
           v = normal(image.shape(), 5);
    CHECK(sum(v * image).item() == Approx(sum(conv_transpose1d(v, kernel, {}, t) * line).item()));
  }
  Tensor bias = normal({3}, 6);
  Tensor plain = conv_transpose2d(normal({1, 2, 3, 3}, 7), normal({2, 3, 2, 2}, 8));
  CHECK(difference(conv_transpose2d(normal({1, 2, 3, 3}, 7), normal({2, 3, 2, 2}, 8), bias),
                   plain + reshape(bias, {3, 1, 1})) < 1e-15);
}

TEST_CASE("gradients of convolutions, to the second order", "[conv][grad]") {
  for (const ConvOptions& o : kForms) {
    INFO(text(o));
    auto f = [&](const TensorList& in) { return TensorList{conv2d(in[0], in[1], in[2], o)}; };
    CHECK(check_twice(f, {normal({1, 2, 5, 4}, 1), normal({2, 2 / o.groups, 2, 2}, 2), normal({2}, 3)}) == "");
    ConvOptions t = o;
    t.output_padding = o.stride - 1;
    auto g = [&](const TensorList& in) { return TensorList{conv_transpose2d(in[0], in[1], in[2], t)}; };
    CHECK(check_twice(g, {normal({1, 2, 3, 4}, 1), normal({2, 2 / o.groups, 3, 3}, 2), normal({2}, 3)}) == "");
  }
  auto line = [](const TensorList& in) { return TensorList{conv1d(in[0], in[1], in[2], {.stride = 2, .padding = 1})}; };
  CHECK(check_twice(line, {normal({2, 2, 5}, 1), normal({3, 2, 3}, 2), normal({3}, 3)}) == "");
}

TEST_CASE("an empty batch gives an empty result and a gradient of zeros; halves round once", "[conv]") {
  Tensor x = zeros({0, 2, 5, 5}).requires_grad_(), w = ones({3, 2, 3, 3}).requires_grad_();
  Tensor y = conv2d(x, w);
  CHECK(y.shape() == Shape{0, 3, 3, 3});
  y.sum().backward();
  CHECK(equal(w.grad(), zeros({3, 2, 3, 3})));
  Tensor h = normal({1, 3, 6, 6}, 1, f16), k = normal({4, 3, 3, 3}, 2, f16);
  CHECK(equal(conv2d(h, k), to(conv2d(to(h, f32), to(k, f32)), f16)));
}

TEST_CASE("errors of convolutions say what does not fit", "[conv][errors]") {
  Tensor x = zeros({1, 4, 5, 5}), w = zeros({6, 4, 3, 3});
  CHECK_THROWS_WITH(conv2d(x, zeros({6, 4, 7, 7})),
                    contains(
                        "the kernel does not fit the padded input; got kernel 7 (reach 7) and input 5 padded to 5"));
  CHECK_THROWS_WITH(conv2d(x, w, {}, {.groups = 2}),
                    contains("conv2d: channels do not fit; got input [1, 4, 5, 5], weight [6, 4, 3, 3] and groups 2"));
  CHECK_THROWS_WITH(conv2d(x, zeros({5, 2, 3, 3}), {}, {.groups = 2}), contains("out a multiple of groups"));
  CHECK_THROWS_WITH(conv2d(x, w, zeros({4})), contains("bias has the wrong shape; got [4]; expected [6]"));
  CHECK_THROWS_WITH(conv2d(zeros({4, 5, 5}), w), contains("wrong number of dims"));
  CHECK_THROWS_WITH(conv2d(x, w, {}, {.stride = 0}), contains("got stride 0"));
  CHECK_THROWS_WITH(conv2d(x, w, {}, {.output_padding = 1}), contains("output_padding belongs to the transpose"));
  CHECK_THROWS_WITH(conv_transpose2d(x, zeros({4, 2, 3, 3}), {}, {.output_padding = 1}),
                    contains("output_padding got 1"));
  CHECK_THROWS_WITH(conv_transpose2d(x, zeros({3, 2, 3, 3})), contains("conv_transpose2d: channels do not fit"));
  CHECK_THROWS_WITH(conv_transpose2d(zeros({1, 4, 1, 1}), zeros({4, 2, 1, 1}), {}, {.padding = 1}),
                    contains("nothing is left"));
  CHECK_THROWS_AS(conv2d(to(x, i64), to(w, i64)), DTypeError);
}

TEST_CASE("planes without pixels, padded: the bias alone, and no gradient for the weight", "[conv]") {
  Tensor x = zeros({2, 3, 0, 4}).requires_grad_(), w = ones({5, 3, 3, 3}).requires_grad_(), b = arange(0, 5, 1, f32);
  Tensor y = conv2d(x, w, b, {.padding = 2});
  REQUIRE(y.shape() == Shape{2, 5, 2, 6});
  CHECK(equal(y.detach(), expand(reshape(b, {1, 5, 1, 1}), y.shape())));
  y.sum().backward();
  CHECK(equal(w.grad(), zeros_like(w.detach())));
  CHECK(x.grad().shape() == x.shape());
}
