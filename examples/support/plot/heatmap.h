// Matrices as pictures: one large with axes, or many small ones in a grid.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "examples/support/plot/colours.h"

namespace ink::lesson {

struct Image {
  int64_t height = 0, width = 0;
  std::vector<float> values = {};  // row by row
  std::string label = {};          // under the picture in a grid
};

struct ImageOptions {
  std::string title = {};
  std::string x = {}, y = {};  // axis titles of a heat map
  ColourMap map = ColourMap::gray;
  double low = NAN, high = NAN;  // values of the map's two ends; from the data if NaN (symmetric for diverging)
  std::vector<std::string> rows = {}, columns = {};  // tick labels of a heat map; indices if empty
  int per_row = 0;                                   // pictures side by side in a grid; chosen if 0
  std::string caption = {};
  double width = 640;
};

// One matrix with row and column labels and a colour bar; values stand in the cells when there is room.
// ValueError for an empty image or a wrong number of values.
std::string heatmap_svg(const Image& image, const ImageOptions& options);
// Pictures on one common scale, in reading order.
std::string image_grid_svg(const std::vector<Image>& images, const ImageOptions& options);

}  // namespace ink::lesson
