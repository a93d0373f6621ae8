// The table of docs/strides.md.
#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;

TEST_CASE("views have the strides that docs/strides.md shows", "[strides]") {
  Tensor x = arange(12).reshape({3, 4});
  struct Row {
    Tensor t;
    Shape shape, strides;
    int64_t offset;
    bool shares;
  };
  for (const Row& r : {
           Row{x, {3, 4}, {4, 1}, 0, true},
           Row{x.t(), {4, 3}, {1, 4}, 0, true},
           Row{x.select(0, 1), {4}, {1}, 4, true},
           Row{x.slice(1, 0, 4, 2), {3, 2}, {4, 2}, 0, true},
           Row{x.diagonal(), {3}, {5}, 0, true},
           Row{x.select(1, 0).unsqueeze(1).expand({3, 5}), {3, 5}, {4, 0}, 0, true},
           Row{x.unfold(1, 2, 1), {3, 3, 2}, {4, 1, 1}, 0, true},
           Row{x.t().contiguous(), {4, 3}, {3, 1}, 0, false},
       }) {
    INFO(r.t.shape().str() << " " << r.t.strides().str());
    CHECK(r.t.shape() == r.shape);
    CHECK(r.t.strides() == r.strides);
    CHECK(r.t.storage_offset() == r.offset);
    CHECK(r.t.shares_storage(x) == r.shares);
  }
}
