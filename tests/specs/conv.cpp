// Rows of convolution, pooling and upsampling: the sums as they are defined, position by position.
#include <cmath>
#include <limits>

#include "tests/specs/samples.h"

namespace ink::test {
namespace {

using T = const Tensor&;
// A [.., length] array as [.., 1, length], and the options as those of a plane of height 1.
Nd as_plane(Nd x) {
  if (x.shape.size() == 3) x.shape.insert(2, 1);
  return x;
}
struct Step {
  int64_t stride, padding, dilation;
};
struct Window {
  Step h, w;
};
Window window_of(const ConvOptions& o, bool line) {
  Step w{o.stride, o.padding, o.dilation};
  return {line ? Step{1, 0, 1} : w, w};
}
int64_t places(int64_t n, int64_t k, Step s) { return (n + 2 * s.padding - s.dilation * (k - 1) - 1) / s.stride + 1; }

// y[b, o, p, q] = sum x[b, c, p stride - pad + r dilation, ...] w[o, c, r, s] over the channels c of o's group
NdList convolve(const NdList& in, const ConvOptions& o, bool line) {
  Nd x = as_plane(in[0]), w = as_plane(in[1]);
  Window s = window_of(o, line);
  int64_t per_group = w.shape[0] / o.groups, channels = w.shape[1];
  Nd y({x.shape[0], w.shape[0], places(x.shape[2], w.shape[2], s.h), places(x.shape[3], w.shape[3], s.w)});
  each_index(y.shape, [&](const Shape& i) {
    C total = in.size() > 2 ? in[2].v[size_t(i[1])] : C(0);
    each_index({channels, w.shape[2], w.shape[3]}, [&](const Shape& k) {
      int64_t r = i[2] * s.h.stride - s.h.padding + k[1] * s.h.dilation,
              c = i[3] * s.w.stride - s.w.padding + k[2] * s.w.dilation;
      if (r < 0 || c < 0 || r >= x.shape[2] || c >= x.shape[3]) return;
      total += x({i[0], i[1] / per_group * channels + k[0], r, c}) * w({i[1], k[0], k[1], k[2]});
    });
    y(i) = total;
  });
  if (line) y.shape.erase(2);
  return {y};
}
// Every x adds a copy of its kernel to the output.
NdList convolve_transposed(const NdList& in, const ConvOptions& o, bool line) {
  Nd x = as_plane(in[0]), w = as_plane(in[1]);
  Window s = window_of(o, line);
  auto size = [&](int64_t n, int64_t k, Step t, int64_t extra) {
    return (n - 1) * t.stride - 2 * t.padding + t.dilation * (k - 1) + 1 + extra;
  };
  int64_t out = w.shape[1], per_group = x.shape[1] / o.groups;
  Nd y({x.shape[0], out * o.groups, size(x.shape[2], w.shape[2], s.h, line ? 0 : o.output_padding),
        size(x.shape[3], w.shape[3], s.w, o.output_padding)});
  each_index(y.shape, [&](const Shape& i) { y(i) = in.size() > 2 ? in[2].v[size_t(i[1])] : C(0); });
  each_index(x.shape, [&](const Shape& i) {
    each_index({out, w.shape[2], w.shape[3]}, [&](const Shape& k) {
      int64_t r = i[2] * s.h.stride - s.h.padding + k[1] * s.h.dilation,
              c = i[3] * s.w.stride - s.w.padding + k[2] * s.w.dilation;
      if (r < 0 || c < 0 || r >= y.shape[2] || c >= y.shape[3]) return;
      y({i[0], i[1] / per_group * out + k[0], r, c}) += x(i) * w({i[1], k[0], k[1], k[2]});
    });
  });
  if (line) y.shape.erase(2);
  return {y};
}

using Conv = Tensor (*)(T, T, T, const ConvOptions&);
struct Form {
  const char* label;
  Shape x, w;
  int64_t bias;  // its size, 0: none
  ConvOptions options;
};
Cases conv_cases(Conv f, NdList (*g)(const NdList&, const ConvOptions&, bool), bool line, std::vector<Form> forms) {
  return [=] {
    std::vector<Case> cases;
    for (const Form& form : forms) {
      ConvOptions o = form.options;
      TensorList in{away(form.x), away(form.w, 1)};
      if (form.bias) in.push_back(away({form.bias}, 2));
      cases.push_back(make_case(
          form.label, in,
          [=](const TensorList& in) { return TensorList{f(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), o)}; },
          [=](const NdList& in) { return g(in, o, line); }, form.x.numel() < 40, double(form.w.numel())));
    }
    return cases;
  };
}

struct PoolForm {
  const char* label;
  Shape x;
  PoolOptions options;
};
using Pool = Tensor (*)(T, const PoolOptions&);
// A window's elements, and how many positions of the padded plane it covers.
Cases pool_cases(Pool f, bool line, C (*g)(const Line&, int64_t, bool), std::vector<PoolForm> forms) {
  return [=] {
    std::vector<Case> cases;
    for (const PoolForm& form : forms) {
      PoolOptions o = form.options;
      cases.push_back(make_case(
          form.label, {away(form.x)}, fn1([=](T x) { return f(x, o); }),
          [=](const NdList& in) {
            Nd x = as_plane(in[0]);
            int64_t stride = o.stride ? o.stride : o.kernel, kh = line ? 1 : o.kernel;
            Step w{stride, o.padding, o.dilation}, h = line ? Step{1, 0, 1} : w;
            Nd y({x.shape[0], x.shape[1], places(x.shape[2], kh, h), places(x.shape[3], o.kernel, w)});
            each_index(y.shape, [&](const Shape& i) {
              Line inside;
              int64_t covered = 0;
              each_index({kh, o.kernel}, [&](const Shape& k) {
                int64_t r = i[2] * h.stride - h.padding + k[0] * h.dilation,
                        c = i[3] * w.stride - w.padding + k[1] * w.dilation;
                covered += r < x.shape[2] + h.padding && c < x.shape[3] + w.padding;
                if (r >= 0 && c >= 0 && r < x.shape[2] && c < x.shape[3]) inside.push_back(x({i[0], i[1], r, c}));
              });
              y(i) = g(inside, covered, o.count_include_pad);
            });
            if (line) y.shape.erase(2);
            return NdList{y};
          },
          form.x.numel() < 40));
    }
    return cases;
  };
}
C largest_of(const Line& x, int64_t, bool) {
  double m = -std::numeric_limits<double>::infinity();
  for (C v : x) m = std::max(m, v.real());
  return m;
}
C mean_of(const Line& x, int64_t covered, bool include) {
  C total = 0;
  for (C v : x) total += v;
  return total / double(include ? covered : int64_t(x.size()));
}

}  // namespace

void add_conv_specs(Specs& s) {
  auto add = [&](const char* name, Conv f, NdList (*g)(const NdList&, const ConvOptions&, bool), bool line,
                 std::vector<Form> forms, std::vector<ErrorInput> errors) {
    s.push_back({.name = name, .cases = conv_cases(f, g, line, forms), .factor = 8, .errors = std::move(errors)});
  };
  add("conv1d", conv1d, convolve, true,
      {{"plain", {2, 2, 4}, {2, 2, 2}, 2, {}},
       {"padded", {1, 1, 3}, {2, 1, 3}, 0, {.padding = 2}},
       {"strided", {1, 2, 5}, {1, 2, 2}, 1, {.stride = 2, .padding = 1}},
       {"dilated", {1, 1, 6}, {1, 1, 3}, 0, {.dilation = 2}},
       {"grouped", {1, 4, 3}, {2, 2, 2}, 2, {.groups = 2}},
       {"depthwise", {1, 2, 3}, {2, 1, 2}, 0, {.groups = 2}},
       {"one by one", {1, 2, 3}, {2, 2, 1}, 0, {}},
       {"no batch", {0, 2, 3}, {2, 2, 2}, 2, {}},
       {"long", {2, 3, 41}, {5, 3, 4}, 5, {.stride = 3, .padding = 2}}},
      {fails<ShapeError>("ShapeError",
                         "conv1d: wrong number of dims; got input [2, 3] and weight [1, 2, 2]; expected 3 dims each",
                         [] {
                           return conv1d(away({2, 3}), away({1, 2, 2}));
                         }),
       fails<ShapeError>("ShapeError",
                         "conv1d: channels do not fit; got input [1, 3, 4], weight [2, 2, 2] and groups 1",
                         [] {
                           return conv1d(away({1, 3, 4}), away({2, 2, 2}));
                         }),
       fails<ShapeError>(
           "ShapeError",
           "conv1d: the kernel does not fit the padded input; got kernel 3 (reach 3) and input 2 padded to 2",
           [] {
             return conv1d(away({1, 1, 2}), away({1, 1, 3}));
           }),
       fails<ValueError>("ValueError", "conv1d: got stride 0",
                         [] {
                           return conv1d(away({1, 1, 2}), away({1, 1, 1}), {}, {.stride = 0});
                         }),
       fails<ValueError>("ValueError", "conv1d: output_padding belongs to the transpose; got 1", [] {
         return conv1d(away({1, 1, 2}), away({1, 1, 1}), {}, {.output_padding = 1});
       })});
  add("conv2d", conv2d, convolve, false,
      {{"plain", {1, 2, 3, 3}, {2, 2, 2, 2}, 2, {}},
       {"three by three", {1, 1, 3, 4}, {1, 1, 3, 3}, 1, {.padding = 1}},
       {"strided", {2, 1, 4, 3}, {1, 1, 2, 2}, 0, {.stride = 2, .padding = 1}},
       {"dilated", {1, 1, 4, 5}, {1, 1, 2, 2}, 0, {.dilation = 2}},
       {"grouped", {1, 4, 2, 2}, {4, 2, 2, 1}, 4, {.groups = 2}},
       {"uneven kernel", {1, 1, 2, 5}, {1, 1, 1, 3}, 0, {}},
       {"no batch", {0, 1, 3, 3}, {1, 1, 2, 2}, 1, {}},
       {"no channels", {1, 0, 3, 3}, {2, 0, 2, 2}, 2, {}},
       {"large", {2, 5, 9, 11}, {7, 5, 3, 3}, 7, {.padding = 1}},
       {"large strided", {2, 4, 9, 11}, {6, 2, 3, 3}, 0, {.stride = 2, .padding = 1, .groups = 2}}},
      {fails<ShapeError>("ShapeError",
                         "conv2d: wrong number of dims; got input [1, 1, 3] and weight [1, 1, 2]; expected 4 dims "
                         "each; hint: unsqueeze(0) adds a batch dim",
                         [] {
                           return conv2d(away({1, 1, 3}), away({1, 1, 2}));
                         }),
       fails<ShapeError>("ShapeError", "conv2d: bias has the wrong shape; got [3]; expected [2]",
                         [] {
                           return conv2d(away({1, 1, 3, 3}), away({2, 1, 2, 2}), away({3}));
                         }),
       fails<ShapeError>("ShapeError", "conv2d: channels do not fit",
                         [] {
                           return conv2d(away({1, 4, 3, 3}), away({3, 2, 2, 2}), {}, {.groups = 2});
                         }),
       fails<DTypeError>("DTypeError", "conv2d: dtype not supported; got i64", [] {
         return conv2d(ones({1, 1, 3, 3}, i64), ones({1, 1, 2, 2}, i64));
       })});
  add("conv_transpose1d", conv_transpose1d, convolve_transposed, true,
      {{"plain", {1, 2, 3}, {2, 2, 2}, 2, {}},
       {"strided", {2, 1, 3}, {1, 2, 3}, 0, {.stride = 2, .padding = 1, .output_padding = 1}},
       {"dilated", {1, 1, 3}, {1, 1, 2}, 1, {.dilation = 2}},
       {"grouped", {1, 4, 2}, {4, 1, 2}, 2, {.groups = 2}},
       {"no batch", {0, 1, 3}, {1, 1, 2}, 0, {}}},
      {fails<ShapeError>("ShapeError", "conv_transpose1d: channels do not fit",
                         [] {
                           return conv_transpose1d(away({1, 3, 2}), away({2, 1, 2}));
                         }),
       fails<ValueError>("ValueError",
                         "conv_transpose1d: output_padding got 1; expected less than stride 1 or dilation 1",
                         [] {
                           return conv_transpose1d(away({1, 1, 2}), away({1, 1, 2}), {}, {.output_padding = 1});
                         }),
       fails<ShapeError>("ShapeError", "conv_transpose1d: nothing is left of the output", [] {
         return conv_transpose1d(away({1, 1, 1}), away({1, 1, 2}), {}, {.padding = 1});
       })});
  add("conv_transpose2d", conv_transpose2d, convolve_transposed, false,
      {{"plain", {1, 2, 2, 2}, {2, 1, 2, 2}, 1, {}},
       {"strided", {1, 1, 2, 3}, {1, 2, 3, 2}, 0, {.stride = 2, .padding = 1, .output_padding = 1}},
       {"dilated", {1, 1, 2, 2}, {1, 1, 2, 2}, 0, {.dilation = 2}},
       {"grouped", {1, 2, 2, 2}, {2, 2, 2, 2}, 4, {.groups = 2}},
       {"large", {2, 4, 7, 6}, {4, 5, 4, 4}, 5, {.stride = 2, .padding = 1}}},
      {fails<ShapeError>("ShapeError", "conv_transpose2d: wrong number of dims", [] {
        return conv_transpose2d(away({1, 1, 2}), away({1, 1, 2, 2}));
      })});

  auto add_pool = [&](const char* name, Pool f, bool line, C (*g)(const Line&, int64_t, bool),
                      std::vector<PoolForm> forms, std::vector<ErrorInput> errors) {
    s.push_back({.name = name,
                 .cases = pool_cases(f, line, g, forms),
                 .expandable = false,
                 .factor = 8,
                 .errors = std::move(errors)});
  };
  std::vector<PoolForm> lines{{"plain", {1, 2, 4}, {}},
                              {"overlapping", {1, 1, 5}, {.kernel = 3, .stride = 1}},
                              {"padded", {2, 1, 4}, {.kernel = 3, .stride = 2, .padding = 1}},
                              {"cut", {1, 1, 5}, {.kernel = 2}},
                              {"no batch", {0, 1, 4}, {}}},
      planes{{"plain", {1, 1, 4, 4}, {}},
             {"overlapping", {1, 2, 3, 3}, {.kernel = 2, .stride = 1}},
             {"padded", {1, 1, 3, 4}, {.kernel = 3, .stride = 2, .padding = 1}},
             {"large", {2, 3, 17, 19}, {.kernel = 3, .stride = 2, .padding = 1}}};
  auto plus = [](std::vector<PoolForm> forms, PoolForm one) {
    forms.push_back(one);
    return forms;
  };
  add_pool("max_pool1d", max_pool1d, true, largest_of,
           plus(lines, {"dilated", {1, 1, 6}, {.kernel = 2, .stride = 1, .dilation = 3}}),
           {fails<ShapeError>("ShapeError", "max_pool1d: got [2, 3]; expected [batch, channels, length]",
                              [] {
                                return max_pool1d(away({2, 3}), {});
                              }),
            fails<ValueError>("ValueError", "max_pool1d: got kernel 2, stride 2, dilation 1, padding 2; expected", [] {
              return max_pool1d(away({1, 1, 3}), {.padding = 2});
            })});
  add_pool(
      "max_pool2d", max_pool2d, false, largest_of,
      plus(planes, {"dilated", {1, 1, 4, 4}, {.kernel = 2, .stride = 1, .dilation = 2}}),
      {fails<ShapeError>("ShapeError",
                         "max_pool2d: the window does not fit the padded input; got window 2 and input 1 padded to 1",
                         [] {
                           return max_pool2d(away({1, 1, 1, 3}), {});
                         }),
       fails<DTypeError>("DTypeError", "max_pool2d: dtype not supported; got i64", [] {
         return max_pool2d(ones({1, 1, 2, 2}, i64), {});
       })});
  add_pool("avg_pool1d", avg_pool1d, true, mean_of,
           plus(lines, {"without the padding",
                        {1, 1, 4},
                        {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}}),
           {fails<ValueError>("ValueError", "avg_pool1d: dilation got 2; expected 1", [] {
             return avg_pool1d(away({1, 1, 3}), {.dilation = 2});
           })});
  add_pool("avg_pool2d", avg_pool2d, false, mean_of,
           plus(planes, {"without the padding",
                         {1, 1, 3, 3},
                         {.kernel = 2, .stride = 2, .padding = 1, .count_include_pad = false}}),
           {fails<ShapeError>("ShapeError", "avg_pool2d: got [3, 3]; expected [batch, channels, h, w]", [] {
             return avg_pool2d(away({3, 3}), {});
           })});
  s.push_back(
      {.name = "upsample_nearest2d",
       .cases =
           [] {
             std::vector<Case> cases;
             for (int64_t scale : {2, 3, 1})
               cases.push_back(make_case("by " + std::to_string(scale), {away({1, 2, 2, 3})},
                                         fn1([=](T x) { return upsample_nearest2d(x, scale); }), [=](const NdList& in) {
                                           Nd y({1, 2, 2 * scale, 3 * scale});
                                           each_index(y.shape, [&](const Shape& i) {
                                             y(i) = in[0]({i[0], i[1], i[2] / scale, i[3] / scale});
                                           });
                                           return NdList{y};
                                         }));
             return cases;
           },
       .elementwise = true,
       .integers = true,
       .errors = {fails<ShapeError>("ShapeError", "upsample_nearest2d: got [2, 3]; expected [batch, channels, h, w]",
                                    [] {
                                      return upsample_nearest2d(away({2, 3}), 2);
                                    }),
                  fails<ValueError>("ValueError", "upsample_nearest2d: scale got 0; expected at least 1", [] {
                    return upsample_nearest2d(away({1, 1, 1, 1}), 0);
                  })}});
}

}  // namespace ink::test
