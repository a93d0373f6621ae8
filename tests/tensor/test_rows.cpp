// Softmax, norms and cross entropy against their formulas in f64.
#include "tests/catch.h"
#include "tests/support/values.h"

using namespace ink;
using namespace ink::test;

namespace {

using Values = std::vector<double>;

Values softmax_reference(const Values& x, Lines l, bool log, int64_t causal_rows) {
  Values y(x.size(), log ? -INFINITY : 0.0);
  for (int64_t o = 0; o < l.outer; ++o)
    for (int64_t j = 0; j < l.inner; ++j) {
      int64_t n = causal_rows ? std::max<int64_t>(0, o % causal_rows + 1 + l.n - causal_rows) : l.n;
      auto at = [&](int64_t i) { return (o * l.n + i) * l.inner + j; };
      double m = -INFINITY, sum = 0;
      for (int64_t i = 0; i < n; ++i) m = std::max(m, x[at(i)]);
      for (int64_t i = 0; i < n; ++i) sum += std::exp(x[at(i)] - m);
      for (int64_t i = 0; i < n; ++i) y[at(i)] = log ? x[at(i)] - m - std::log(sum) : std::exp(x[at(i)] - m) / sum;
    }
  return y;
}

Values softmax_backward_reference(const Values& dy, const Values& y, Lines l, bool log) {
  Values dx(y.size(), 0.0);
  for (int64_t o = 0; o < l.outer; ++o)
    for (int64_t j = 0; j < l.inner; ++j) {
      auto at = [&](int64_t i) { return (o * l.n + i) * l.inner + j; };
      auto seen = [&](int64_t i) { return y[at(i)] != (log ? -INFINITY : 0.0); };
      double sum = 0;
      for (int64_t i = 0; i < l.n; ++i)
        if (seen(i)) sum += log ? dy[at(i)] : dy[at(i)] * y[at(i)];
      for (int64_t i = 0; i < l.n; ++i)
        if (seen(i)) dx[at(i)] = log ? dy[at(i)] - std::exp(y[at(i)]) * sum : y[at(i)] * (dy[at(i)] - sum);
    }
  return dx;
}

template <class T> Values widen(const std::vector<T>& v) { return Values(v.begin(), v.end()); }

struct SoftmaxCase {
  Lines lines;
  int64_t causal_rows;
};
const SoftmaxCase softmax_cases[] = {{{0, 5, 1}, 0},    {{3, 0, 1}, 0},    {{4, 1, 1}, 0},  {{3, 17, 1}, 0},
                                     {{2, 5003, 1}, 0}, {{300, 65, 1}, 0}, {{2, 7, 3}, 0},  {{3, 33, 150}, 0},
                                     {{2, 4, 0}, 0},    {{12, 6, 1}, 6},   {{10, 9, 1}, 5}, {{14, 3, 1}, 7},
                                     {{128, 64, 1}, 64}};

}  // namespace

TEMPLATE_TEST_CASE("softmax and its gradient follow the formula along any dim, also causal", "[rows]", float, double) {
  for (bool log : {false, true})
    for (const SoftmaxCase& c : softmax_cases) {
      SoftmaxArgs args{dtype_of<TestType>, c.lines, log, c.causal_rows};
      int64_t n = c.lines.outer * c.lines.n * c.lines.inner;
      INFO("outer " << c.lines.outer << " n " << c.lines.n << " inner " << c.lines.inner << " log " << log);
      auto x = normal_values<TestType>(n, 1, 3), dy = normal_values<TestType>(n, 2);
      std::vector<TestType> y(n), dx(n);
      kernels(Device::cpu()).softmax(args, y.data(), x.data());
      CHECK(error(y, softmax_reference(widen(x), c.lines, log, c.causal_rows)) < tolerance<TestType>);
      kernels(Device::cpu()).softmax_backward(args, dx.data(), dy.data(), y.data());
      double wide = std::sqrt(double(c.lines.n) + 1);  // sums of n terms of either sign
      CHECK(error(dx, softmax_backward_reference(widen(dy), widen(y), c.lines, log)) < wide * tolerance<TestType>);
    }
}

TEST_CASE("softmax of infinities is torch's: NaN without a finite entry, 0 for a causal row without keys", "[rows]") {
  float inf = INFINITY;
  std::vector<float> x{-inf, -inf, -inf, 1, -inf, 1, inf, 0, 0}, y(9);
  kernels(Device::cpu()).softmax({f32, {3, 3, 1}, false, 0}, y.data(), x.data());
  std::vector<float> expected{NAN, NAN, NAN, 0.5f, 0, 0.5f, NAN, 0, 0};
  CHECK(error(std::vector(y.begin(), y.begin() + 7), std::vector(expected.begin(), expected.begin() + 7)) < 1e-6);
  kernels(Device::cpu()).softmax({f32, {3, 1, 1}, false, 3}, y.data(), x.data() + 3);  // rows 0 and 1 see no key
  CHECK(y[0] == 0);
  CHECK(y[1] == 0);
  CHECK(y[2] == 1);
  kernels(Device::cpu()).softmax({f32, {3, 1, 1}, true, 3}, y.data(), x.data() + 3);
  CHECK(y[0] == -inf);
  CHECK(y[2] == 0);
}

TEST_CASE("softmax survives arguments that overflow exp", "[rows]") {
  std::vector<float> x{1000, 1001, -1000, 88.8f, 88.8f, 88.8f}, y(6);
  kernels(Device::cpu()).softmax({f32, {2, 3, 1}, false, 0}, y.data(), x.data());
  CHECK(error(y, softmax_reference(widen(x), {2, 3, 1}, false, 0)) < 1e-6);
}

namespace {

struct NormCase {
  int64_t rows, cols, groups, inner;
  bool rms;
};
const NormCase norm_cases[] = {{0, 5, 1, 1, false},     {3, 1, 1, 1, false},    {5, 17, 1, 1, false},
                               {300, 130, 1, 1, false}, {2, 4099, 1, 1, false}, {7, 33, 1, 1, true},
                               {200, 96, 1, 1, true},   {12, 35, 4, 7, false},  {6, 64, 3, 32, false},
                               {8, 6, 2, 1, false}};

struct NormResult {
  Values y, mean, rstd, dx, dw, db;
};

NormResult norm_reference(const NormArgs& a, const Values& x, const Values& w, const Values& b, const Values& dy) {
  NormResult r{Values(x.size()), Values(a.rows), Values(a.rows), Values(x.size()), Values(w.size()), Values(w.size())};
  for (int64_t row = 0; row < a.rows; ++row) {
    double mean = 0, var = 0, g_sum = 0, gx_sum = 0, n = double(a.cols);
    auto at = [&](int64_t i) { return row * a.cols + i; };
    auto affine = [&](int64_t i) { return row % a.groups * (a.cols / a.inner) + i / a.inner; };
    for (int64_t i = 0; i < a.cols && !a.rms; ++i) mean += x[at(i)] / n;
    for (int64_t i = 0; i < a.cols; ++i) var += (x[at(i)] - mean) * (x[at(i)] - mean) / n;
    double s = 1 / std::sqrt(var + a.eps);
    r.mean[row] = mean, r.rstd[row] = s;
    for (int64_t i = 0; i < a.cols; ++i) {
      double hat = (x[at(i)] - mean) * s, d = dy[at(i)];
      r.y[at(i)] = hat * w[affine(i)] + b[affine(i)];
      r.dw[affine(i)] += d * hat, r.db[affine(i)] += d;
      g_sum += d * w[affine(i)], gx_sum += d * w[affine(i)] * hat;
    }
    for (int64_t i = 0; i < a.cols; ++i)
      r.dx[at(i)] = s * (dy[at(i)] * w[affine(i)] - (a.rms ? 0 : g_sum / n) - (x[at(i)] - mean) * s * gx_sum / n);
  }
  return r;
}

}  // namespace

TEMPLATE_TEST_CASE("layer, RMS and group norm and their gradients follow the formula", "[rows]", float, double) {
  using T = TestType;
  for (const NormCase& c : norm_cases)
    for (int given : {3, 2, 1, 0}) {  // bit 0: weight, bit 1: bias
      NormArgs a{dtype_of<T>, c.rows, c.cols, c.groups, c.inner, 1e-5, c.rms};
      int64_t n = c.rows * c.cols, affine = c.groups * c.cols / c.inner;
      INFO("rows " << c.rows << " cols " << c.cols << " inner " << c.inner << " rms " << c.rms << " given " << given);
      auto x = normal_values<T>(n, 3, 2), dy = normal_values<T>(n, 4), w = normal_values<T>(affine, 5),
           b = normal_values<T>(affine, 6);
      for (T& v : x) v += T(1.5);
      std::vector<T> y(n), mean(c.rows), rstd(c.rows), dx(n), dw(affine), db(affine);
      if (!(given & 1)) w.assign(affine, T(1));
      if (!(given & 2)) b.assign(affine, T(0));
      const T *wp = given & 1 ? w.data() : nullptr, *bp = given & 2 ? b.data() : nullptr;
      kernels(Device::cpu()).norm(a, y.data(), mean.data(), rstd.data(), x.data(), wp, bp);
      kernels(Device::cpu())
          .norm_backward(a, dx.data(), dw.data(), db.data(), dy.data(), x.data(), mean.data(), rstd.data(), wp);
      NormResult r = norm_reference(a, widen(x), widen(w), widen(b), widen(dy));
      double t = 4 * tolerance<T>;
      CHECK(error(y, r.y) < t);
      if (!c.rms) CHECK(error(mean, r.mean) < t);
      if (c.cols > 1) {  // one value has variance 0: rstd is 1 / sqrt(eps) times its rounding error
        CHECK(error(rstd, r.rstd) < t);
        CHECK(error(dx, r.dx) < t);
        CHECK(error(dw, r.dw) < 4 * t);
      }
      CHECK(error(db, r.db) < 4 * t);
      auto dw2 = dw, dx2 = dx;
      kernels(Device::cpu())
          .norm_backward(a, dx2.data(), nullptr, nullptr, dy.data(), x.data(), mean.data(), rstd.data(), wp);
      kernels(Device::cpu())
          .norm_backward(a, nullptr, dw2.data(), nullptr, dy.data(), x.data(), mean.data(), rstd.data(), wp);
      CHECK(dx2 == dx);
      CHECK(dw2 == dw);
    }
}

TEST_CASE("layer norm keeps its digits on a large mean", "[rows]") {
  auto noise = normal_values<float>(1000, 7);
  std::vector<float> x(1000), y(1000);
  for (int i = 0; i < 1000; ++i) x[i] = 10000 + noise[i];
  float mean, rstd;
  kernels(Device::cpu()).norm({f32, 1, 1000, 1, 1, 1e-5, false}, y.data(), &mean, &rstd, x.data(), nullptr, nullptr);
  Values ones(1000, 1.0), zeros(1000, 0.0);
  NormResult r = norm_reference({f32, 1, 1000, 1, 1, 1e-5, false}, widen(x), ones, zeros, zeros);
  CHECK(error(y, r.y) < 1e-3);  // the mean itself is rounded to 5e-4
  CHECK(error(std::vector{rstd}, r.rstd) < 1e-5);
}

TEMPLATE_TEST_CASE("cross entropy and its gradient follow the formula", "[rows]", float, double) {
  using T = TestType;
  for (int64_t rows : {0, 1, 37})
    for (int64_t classes : {1, 2, 19, 1024, 5000})
      for (double s : {0.0, 0.1}) {
        INFO("rows " << rows << " classes " << classes << " smoothing " << s);
        CrossEntropyArgs a{dtype_of<T>, rows, classes, -100, s};
        auto x = normal_values<T>(rows * classes, 8, 4), dloss = normal_values<T>(rows, 9);
        auto target = whole_values<int64_t>(rows, classes, 10);
        for (int64_t r = 0; r < rows; r += 5) target[r] = -100;
        std::vector<T> loss(rows), lse(rows), dx(rows * classes, T(7));
        kernels(Device::cpu()).cross_entropy(a, loss.data(), lse.data(), x.data(), target.data());
        kernels(Device::cpu()).cross_entropy_backward(a, dx.data(), dloss.data(), x.data(), lse.data(), target.data());
        Values logp = softmax_reference(widen(x), {rows, classes, 1}, true, 0), l(rows), d(rows * classes);
        for (int64_t r = 0; r < rows; ++r) {
          if (target[r] == -100) continue;
          double mean = 0;
          for (int64_t k = 0; k < classes; ++k) {
            double p = logp[r * classes + k], q = s / double(classes) + (k == target[r] ? 1 - s : 0);
            mean += p / double(classes), d[r * classes + k] = double(dloss[r]) * (std::exp(p) - q);
          }
          l[r] = -(1 - s) * logp[r * classes + target[r]] - s * mean;
        }
        CHECK(error(loss, l) < tolerance<T>);
        CHECK(error(dx, d) < 2 * tolerance<T>);
      }
}

TEST_CASE("the gradient of cross entropy is the same when it is too large for the caches", "[rows]") {
  int64_t rows = 300, classes = 32011;  // 38 MB; rows start at any alignment
  auto x = normal_values<float>(rows * classes, 15), lse = normal_values<float>(rows, 16);
  auto target = whole_values<int64_t>(rows, classes, 17);
  std::vector<float> dloss(rows, 0.5f), all(rows * classes), row(classes);
  kernels(Device::cpu())
      .cross_entropy_backward({f32, rows, classes, -1, 0.1}, all.data(), dloss.data(), x.data(), lse.data(),
                              target.data());
  for (int64_t r : {0, 1, 2, 17, 299}) {
    kernels(Device::cpu())
        .cross_entropy_backward({f32, 1, classes, -1, 0.1}, row.data(), &dloss[r], &x[r * classes], &lse[r],
                                &target[r]);
    CHECK(std::equal(row.begin(), row.end(), all.begin() + r * classes));
  }
}

TEST_CASE("cross entropy takes classes masked by -inf and says NaN when all are", "[rows]") {
  float inf = INFINITY, loss[2], lse[2];
  std::vector<float> x(2 * 3000, -inf);
  x[2999] = 2;  // the first 2999 entries of row 0, more than a block, are masked
  int64_t target[] = {2999, 0};
  kernels(Device::cpu()).cross_entropy({f32, 2, 3000, -100, 0}, loss, lse, x.data(), target);
  CHECK(loss[0] == 0);
  CHECK(lse[0] == 2);
  CHECK(std::isnan(loss[1]));
  x[5] = NAN;
  kernels(Device::cpu()).cross_entropy({f32, 2, 3000, -100, 0}, loss, lse, x.data(), target);
  CHECK(std::isnan(loss[0]));
}

TEST_CASE("row kernels give the same bits on one thread and on two", "[rows]") {
  int64_t rows = 500, cols = 301;
  auto x = normal_values<float>(rows * cols, 11), dy = normal_values<float>(rows * cols, 12),
       w = normal_values<float>(cols, 13);
  std::vector<int64_t> target = whole_values<int64_t>(rows, cols, 14);
  CHECK(same_on_two_threads([&] {
    std::vector<float> y(x.size());
    kernels(Device::cpu()).softmax({f32, {rows, cols, 1}, false, 0}, y.data(), x.data());
    return y;
  }));
  CHECK(same_on_two_threads([&] {
    NormArgs a{f32, rows, cols, 1, 1, 1e-5, false};
    std::vector<float> y(x.size()), mean(rows), rstd(rows), all(x.size() + 2 * cols);
    kernels(Device::cpu()).norm(a, y.data(), mean.data(), rstd.data(), x.data(), w.data(), nullptr);
    kernels(Device::cpu())
        .norm_backward(a, all.data(), all.data() + x.size(), all.data() + x.size() + cols, dy.data(), x.data(),
                       mean.data(), rstd.data(), w.data());
    return all;
  }));
  CHECK(same_on_two_threads([&] {
    std::vector<float> loss(2 * rows);
    kernels(Device::cpu())
        .cross_entropy({f32, rows, cols, -1, 0.1}, loss.data(), loss.data() + rows, x.data(), target.data());
    return loss;
  }));
}
