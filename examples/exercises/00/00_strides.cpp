// Exercise: the strides of a transpose, and reading through them.
// Note: docs/notes/00_first_steps.md, exercise 1
//
// An array's elements lie in a row, its storage. A view says how to walk there: element (i_0, i_1, ...) stands at
//
//   offset + i_0 stride_0 + i_1 stride_1 + ...
//
// For [2, 3] stored row by row the strides are (3, 1): a step down skips three elements, a step to the right one. The
// transpose moves no element. It is another view of the same storage, with two sizes and two strides swapped: [3, 2]
// with strides (1, 3).
//
//   storage  0 1 2 3 4 5     view [2, 3], strides (3, 1)     transposed [3, 2], strides (1, 3)
//                              0 1 2                           0 3
//                              3 4 5                           1 4
//                                                              2 5
//
// Write the function that transposes a view and returns the elements of the result in row-major order, the last index
// running fastest: here 0 3 1 4 2 5. The view may have any number of dims. Its strides may be anything: a step of 2
// (every other column), 0 (one row repeated: that is how broadcasting works), negative ones with an offset at the end.
//
// What the checks look at: row by row; transpose; offset and steps; stride 0; three dims and more; sizes 0 and 1.
#include "examples/support/exercise/exercise.h"

using namespace ink;
using namespace ink::exercise;

#ifdef INK_YOURS
#include INK_YOURS
#else
//[ yours
// sizes.size() is the number of dims, sizes[d] the size of dim d. Shape is a short list of integers.
struct View {
  Shape sizes, strides;
  int64_t offset;
};

// The elements of `view` with dims a and b exchanged, in row-major order.
Samples transposed(const Samples& storage, View view, int a, int b) {
  throw NotWritten{};  // instead of this line
}
//]
#endif

//[ hint
// The transpose is two calls of std::swap. After that forget it: any view is read alike.
//]
//[ hint
// Count from 0 to the product of the sizes. Number `flat` in row-major order has the last index flat % size, and the
// rest is flat / size: go on with the dim before. This is how digits of a number are found.
//]
//[ hint
// For each `flat`: place = offset; for d from the last dim to the first: place += (rest % sizes[d]) * strides[d],
// rest /= sizes[d]. The product of no sizes is 1, so a view without dims has one element.
//]

namespace solution {
//[ solution
Samples transposed(const Samples& storage, View view, int a, int b) {
  std::swap(view.sizes[a], view.sizes[b]);
  std::swap(view.strides[a], view.strides[b]);
  int64_t count = 1;
  for (int64_t size : view.sizes) count *= size;
  Samples out;
  for (int64_t flat = 0; flat < count; ++flat) {
    int64_t place = view.offset, rest = flat;
    for (int d = view.sizes.size() - 1; d >= 0; --d) {
      place += rest % view.sizes[d] * view.strides[d];
      rest /= view.sizes[d];
    }
    out.push_back(storage[size_t(place)]);
  }
  return out;
}
//]
}  // namespace solution

//[ wrong
namespace first_index_fastest {
Samples transposed(const Samples& storage, View view, int a, int b) {
  std::swap(view.sizes[a], view.sizes[b]);
  std::swap(view.strides[a], view.strides[b]);
  Samples out;
  for (int64_t flat = 0, count = view.sizes.numel(); flat < count; ++flat) {
    int64_t place = view.offset, rest = flat;
    for (int d = 0; d < view.sizes.size(); rest /= view.sizes[d++]) place += rest % view.sizes[d] * view.strides[d];
    out.push_back(storage[size_t(place)]);
  }
  return out;
}
}  // namespace first_index_fastest
namespace only_sizes_swapped {
Samples transposed(const Samples& storage, View view, int a, int b) {
  std::swap(view.sizes[a], view.sizes[b]);
  return solution::transposed(storage, view, 0, 0);
}
}  // namespace only_sizes_swapped
namespace without_offset {
Samples transposed(const Samples& storage, View view, int a, int b) {
  view.offset = 0;
  return solution::transposed(storage, view, a, b);
}
}  // namespace without_offset
//]

namespace {

using Function = decltype(&transposed);

// What the library reads through the same view.
Samples expected(const Tensor& view, int a, int b) { return view.transpose(a, b).to_vector<double>(); }

void checks(Check& check, Function f) {
  const Samples storage = arange(24).to_vector<double>();
  Tensor all = from_data(storage, {24});
  auto on = [&](const char* property, const Tensor& view, int a, int b) {
    check.on(property, {{"storage", "0 1 2 ... 23"},
                        {"sizes", view.shape().str()},
                        {"strides", view.strides().str()},
                        {"offset", double(view.storage_offset())},
                        {"exchanged", std::to_string(a) + " and " + std::to_string(b)}});
    check.close(f(storage, {view.shape(), view.strides(), view.storage_offset()}, a, b), expected(view, a, b),
                "elements");
  };
  on("row by row", all.narrow(0, 0, 6).view({2, 3}), 0, 0);
  on("transpose", all.narrow(0, 0, 6).view({2, 3}), 0, 1);
  on("transpose", all.narrow(0, 0, 6).view({2, 3}).t(), 1, 0);
  on("offset and steps", all.view({4, 6}).slice(0, 1, 4).slice(1, 0, 6, 2), 0, 1);
  on("offset and steps", all.view({4, 6}).slice(1, 2, 4), 0, 1);
  on("stride 0", all.narrow(0, 0, 3).view({1, 3}).expand({2, 3}), 0, 1);
  on("three dims and more", all.view({2, 3, 4}), 0, 2);
  on("three dims and more", all.view({2, 3, 4}).permute({2, 0, 1}), 1, 2);
  on("three dims and more", all.view({2, 2, 2, 3}), 1, 3);
  on("sizes 0 and 1", all.view({1, 24}), 0, 1);
  on("sizes 0 and 1", all.view({4, 6}).narrow(0, 2, 0), 0, 1);
}

}  // namespace

int main(int argc, char** argv) {
  return run(argc, argv, checks,
             {.yours = transposed,
              .solution = solution::transposed,
              .wrong = {{"the first index runs fastest", "row by row", first_index_fastest::transposed},
                        {"the strides are left where they were", "transpose", only_sizes_swapped::transposed},
                        {"the offset is forgotten", "offset and steps", without_offset::transposed}}});
}
