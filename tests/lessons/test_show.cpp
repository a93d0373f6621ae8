// How a lesson shows a tensor: summary, numbers, blocks.
#include "examples/support/lesson/show.h"

#include <cmath>

#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;
using namespace ink::lesson;

TEST_CASE("a tensor is summarised: range, mean, cells", "[lesson]") {
  Shown s = summarise("x", from_data(std::vector<float>{-1, 0, 2, NAN, 3, 4}, {2, 3}));
  CHECK(s.dtype == "f32");
  CHECK(s.shape == std::vector<int64_t>{2, 3});
  CHECK(s.min == -1);
  CHECK(s.max == 4);
  CHECK(s.mean == Approx(8.0 / 5));
  CHECK(s.non_finite == 1);
  CHECK(s.exact_cells);
  CHECK(s.rows == 2);
  CHECK(s.columns == 3);

  Shown large = summarise("ramp", arange(0, 64 * 128).reshape({64, 128}).to(f32));
  CHECK(large.rows == 32);
  CHECK(large.columns == 64);
  CHECK_FALSE(large.exact_cells);
  CHECK(large.cells[0] == Approx((0 + 1 + 128 + 129) / 4.0));
  CHECK(summarise("none", zeros({0, 3})).cells.empty());
  CHECK(summarise("scalar", full({}, 2.5)).cells == std::vector<float>{2.5f});
  CHECK(summarise("strided", arange(0, 6).reshape({2, 3}).t()).cells == std::vector<float>{0, 3, 1, 4, 2, 5});
  Shown batch = summarise("batch", arange(0, 24).reshape({2, 3, 4}));
  CHECK(batch.rows == 3);
  CHECK(batch.columns == 4);
  CHECK_FALSE(batch.exact_cells);
  CHECK(summarise("z", polar(full({1}, 2.0), full({1}, 1.0))).max == Approx(2));
}

TEST_CASE("a shown tensor as text: numbers if few, blocks if many", "[lesson]") {
  Terminal plain = Terminal::plain();
  CHECK(shown_text(summarise("x", from_data(std::vector<float>{1, -2.5f, 3, 4}, {2, 2})), plain) ==
        "  x  f32 [2, 2]  -2.5 to 4, mean 1.375\n       1  -2.5\n       3     4\n");
  CHECK(shown_text(summarise("s", full({}, 2.5)), plain) == "  s  2.5  f32 []\n");
  CHECK(shown_text(summarise("none", zeros({0})), plain) == "  none  f32 [0]  no elements\n");
  CHECK(shown_text(summarise("ramp", arange(0, 16)), plain) ==
        "  ramp  i64 [16]  0 to 15, mean 7.5\n    ▁▁▂▂▃▃▄▄▅▅▆▆▇▇██\n");
  std::string matrix = shown_text(summarise("m", zeros({16, 16})), plain);
  CHECK_THAT(matrix, contains("▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒\n"));  // a constant lies in the middle of its range
}
