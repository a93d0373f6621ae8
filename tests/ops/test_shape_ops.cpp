// Views: they share memory, whatever the strides; reshape copies only where no strides can do.
#include <algorithm>

#include "autograd/ops.h"
#include "tensor/raw/raw.h"
#include "tests/catch.h"
#include "tests/support/tensors.h"

using namespace ink;
using namespace ink::test;

namespace {

Tensor counted(const Shape& shape) { return reshape(arange(0, shape.numel(), 1, f64), shape); }

// Where each element lies in memory, in row-major order.
std::vector<int64_t> places(const Tensor& x) {
  std::vector<int64_t> at{x.storage_offset()};
  for (int d = 0; d < x.dim(); ++d) {
    std::vector<int64_t> next;
    for (int64_t p : at)
      for (int64_t i = 0; i < x.shape()[d]; ++i) next.push_back(p + i * x.strides()[d]);
    at = next;
  }
  return at;
}
// Whether some strides show these places as `shape`: a step along a dim must be the same wherever it is taken.
bool viewable(const std::vector<int64_t>& at, const Shape& shape) {
  Shape unit = contiguous_strides(shape);
  for (size_t k = 0; k < at.size(); ++k) {
    int64_t p = at[0], rest = int64_t(k);
    for (int d = 0; d < shape.size(); ++d) {
      int64_t i = rest / unit[d];
      rest %= unit[d];
      if (shape[d] > 1) p += i * (at[size_t(unit[d])] - at[0]);
    }
    if (p != at[k]) return false;
  }
  return true;
}
// All ways to write n as a product of up to `dims` sizes, ones included.
void factorisations(int64_t n, int dims, const Shape& head, std::vector<Shape>& out) {
  if (n == 1) out.push_back(head);
  if (head.size() == dims) return;
  for (int64_t f = 1; f <= n; ++f)
    if (n % f == 0) {
      Shape longer = head;
      longer.push_back(f);
      factorisations(n / f, dims, longer, out);
    }
}
// x under every order of its dims, with gaps, from the middle, and repeated.
std::vector<Tensor> layouts(const Shape& shape) {
  std::vector<Tensor> all;
  std::vector<int64_t> order(size_t(shape.size()));
  for (size_t d = 0; d < order.size(); ++d) order[d] = int64_t(d);
  do {
    Shape turned, wide;
    for (int64_t d : order) turned.push_back(shape[int(d)]);
    Shape back = Shape::filled(shape.size(), 0);
    for (size_t d = 0; d < order.size(); ++d) back[int(order[d])] = int64_t(d);
    all.push_back(permute(counted(turned), back));
    for (int gap = 0; gap < shape.size(); ++gap) {
      wide = turned;
      wide[gap] = 2 * wide[gap] + 1;
      all.push_back(permute(slice(counted(wide), gap, 1, wide[gap], 2), back));
      Shape thin = turned;
      thin[gap] = 1;
      all.push_back(permute(expand(counted(thin), turned), back));
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return all;
}

}  // namespace

TEST_CASE("reshape of every layout keeps the elements in order, and copies only if no strides can do", "[view]") {
  int views = 0, copies = 0;
  for (const Shape& shape : {Shape{2, 3, 4}, {2, 1, 6}, {3, 1, 1, 4}, {4, 3}, {12}}) {
    std::vector<Shape> targets;
    factorisations(shape.numel(), 4, {}, targets);
    for (const Tensor& x : layouts(shape)) {
      Values expected = values(raw::clone(x));
      std::vector<int64_t> at = places(x);
      for (const Shape& to : targets) {
        Tensor y = reshape(x, to);
        bool possible = viewable(at, to), same = y.shape() == to && values(y) == expected, shared = y.shares_storage(x);
        if (!same || shared != possible) {
          INFO(x.shape().str() << " with strides " << x.strides().str() << " to " << to.str());
          CHECK(same);
          CHECK(shared == possible);
        }
        if (shared) CHECK(places(y) == at);
        ++(shared ? views : copies);
      }
    }
  }
  CHECK(views > 1000);
  CHECK(copies > 1000);
}

TEST_CASE("writing through a view is seen in the tensor, and the other way round", "[view]") {
  struct Form {
    const char* name;
    Tensor (*view)(const Tensor&);
  };
  for (const Form& f : {Form{"reshape",
                             [](const Tensor& x) {
                               return reshape(x, {4, 6});
                             }},
                        {"view", [](const Tensor& x) { return view(x, {-1}); }},
                        {"flatten", [](const Tensor& x) { return flatten(x, 1); }},
                        {"permute",
                         [](const Tensor& x) {
                           return permute(x, {2, 0, 1});
                         }},
                        {"transpose", [](const Tensor& x) { return transpose(x, 0, -1); }},
                        {"movedim", [](const Tensor& x) { return movedim(x, 0, 2); }},
                        {"unsqueeze", [](const Tensor& x) { return unsqueeze(x, 1); }},
                        {"squeeze", [](const Tensor& x) { return squeeze(x); }},
                        {"slice", [](const Tensor& x) { return slice(x, 1, 1, 3, 2); }},
                        {"narrow", [](const Tensor& x) { return narrow(x, 2, 1, 2); }},
                        {"select", [](const Tensor& x) { return select(x, 0, -1); }},
                        {"diagonal", [](const Tensor& x) { return diagonal(x, 1, 1, 2); }},
                        {"unfold", [](const Tensor& x) { return unfold(x, 2, 2, 2); }},
                        {"index",
                         [](const Tensor& x) {
                           return x.index({1, Slice(None, None, 2), None});
                         }},
                        {"split", [](const Tensor& x) { return split(x, 2, 1)[1]; }},
                        {"chunk", [](const Tensor& x) { return chunk(x, 2, 2)[1]; }},
                        {"unbind", [](const Tensor& x) { return unbind(x, 1)[2]; }},
                        {"detach", [](const Tensor& x) { return detach(x); }}}) {
    INFO(f.name);
    Tensor x = counted({2, 3, 4}), v = f.view(x), copy = clone(v);
    CHECK(v.shares_storage(x));
    CHECK(equal(v, copy));
    v.fill_(-5);
    CHECK(values(x == -5.) == values(x < 0));
    CHECK(sum(to(x == -5., i64)).item<int64_t>() == v.numel());
    x.fill_(7);
    CHECK(all(v == 7).item<bool>());
    CHECK(x.impl()->storage->version == v.impl()->storage->version);
  }
}

TEST_CASE("an expanded tensor reads one row again and again", "[view]") {
  Tensor x = counted({3}), v = expand(x, {2, 3});
  CHECK(v.shares_storage(x));
  CHECK(v.stride(0) == 0);
  x.fill_(4);
  CHECK(values(v) == Values(6, 4.0));
  CHECK(!contiguous(v).shares_storage(x));
}

TEST_CASE("copies do not share memory", "[view]") {
  Tensor x = counted({2, 3});
  for (const Tensor& y : {clone(x), cat({x}), stack({x}), pad(x, {1, 1}), roll(x, 1, 0), flip(x, 0), tril(x),
                          repeat(x, {1, 1}), repeat_interleave(x, 1, 0), index_select(x, 0, arange(2)), to(x, f32)})
    CHECK(!y.shares_storage(x));
  CHECK(contiguous(x).shares_storage(x));
  CHECK(!contiguous(x.t()).shares_storage(x));
  CHECK(to(x, f64).shares_storage(x));
}

TEST_CASE("negative dims and indices count from the end", "[view]") {
  Tensor x = counted({2, 3, 4});
  CHECK(equal(select(x, -1, -2), select(x, 2, 2)));
  CHECK(equal(slice(x, -2, -2, -1), slice(x, 1, 1, 2)));
  CHECK(equal(narrow(x, -1, -3, 2), narrow(x, 2, 1, 2)));
  CHECK(equal(transpose(x, -1, -3), transpose(x, 2, 0)));
  CHECK(equal(permute(x, {-1, 0, -2}), permute(x, {2, 0, 1})));
  CHECK(equal(unsqueeze(x, -1), unsqueeze(x, 3)));
  CHECK(equal(flatten(x, -2, -1), flatten(x, 1, 2)));
  CHECK(equal(sum(x, {-1, 0}), sum(x, {0, 2})));
  CHECK(x.size(-1) == 4);
  CHECK(x.stride(-3) == 12);
  CHECK(equal(x.index({-1, Ellipsis, -1}), select(select(x, 0, 1), 1, 3)));
}

TEST_CASE("Slice, None and Ellipsis against the ops they stand for", "[view]") {
  Tensor x = counted({4, 3, 5});
  CHECK(equal(x.index({Slice()}), x));
  CHECK(equal(x.index({Ellipsis}), x));
  CHECK(equal(x.index({Slice(1, 3)}), slice(x, 0, 1, 3)));
  CHECK(equal(x.index({Slice(1, None, 2)}), slice(x, 0, 1, 4, 2)));
  CHECK(equal(x.index({Slice(-3, -1)}), slice(x, 0, 1, 3)));
  CHECK(equal(x.index({Slice(None, 99)}), x));
  CHECK(x.index({Slice(3, 1)}).shape() == Shape{0, 3, 5});
  CHECK(equal(x.index({None}), unsqueeze(x, 0)));
  CHECK(equal(x.index({Ellipsis, None}), unsqueeze(x, -1)));
  CHECK(equal(x.index({Slice(), None, 1}), unsqueeze(select(x, 1, 1), 1)));
  CHECK(equal(x.index({0, Ellipsis, Slice(0, 2)}), slice(select(x, 0, 0), 1, 0, 2)));
  CHECK(equal(x.index({1, 2, 3}), select(select(select(x, 0, 1), 0, 2), 0, 3)));
  for (int64_t start : {-6, -2, 0, 1, 4, 9})
    for (int64_t stop : {-6, -1, 0, 2, 4, 9})
      for (int64_t step : {1, 2, 3}) {  // as Python does it
        auto bound = [](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + 4 : i, 0, 4); };
        Values rows;
        for (int64_t i = bound(start); i < bound(stop); i += step) rows.push_back(double(i));
        CHECK(values(counted({4}).index({Slice(start, stop, step)})) == rows);
      }
}
