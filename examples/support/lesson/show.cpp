#include "examples/support/lesson/show.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "examples/support/page/number.h"
#include "examples/support/page/tex.h"
#include "examples/support/plot/colours.h"

namespace ink::lesson {

namespace {

struct Matrix {
  int64_t rows, columns;
  std::vector<float> cells;
  float at(int64_t i, int64_t j) const { return cells[size_t(i * columns + j)]; }
};

// Means over equal pieces, so that a large matrix fits into a few cells.
Matrix shrunk(const Matrix& m, int64_t most_rows, int64_t most_columns) {
  int64_t rows = std::min(m.rows, most_rows), columns = std::min(m.columns, most_columns);
  if (rows == m.rows && columns == m.columns) return m;
  Matrix out{rows, columns, {}};
  for (int64_t i = 0; i < rows; ++i) {
    int64_t i0 = i * m.rows / rows, i1 = (i + 1) * m.rows / rows;
    for (int64_t j = 0; j < columns; ++j) {
      int64_t j0 = j * m.columns / columns, j1 = (j + 1) * m.columns / columns;
      double sum = 0;
      for (int64_t y = i0; y < i1; ++y)
        for (int64_t x = j0; x < j1; ++x) sum += double(m.at(y, x));
      out.cells.push_back(float(sum / double((i1 - i0) * (j1 - j0))));
    }
  }
  return out;
}

std::vector<double> real_values(const Tensor& x) {
  if (!is_complex(x.dtype())) return x.to_vector<double>();
  std::vector<double> out;
  for (complex<double> z : x.to_vector<complex<double>>()) out.push_back(std::hypot(z.re, z.im));
  return out;
}

constexpr int kIndent = 4;

std::string numbers_text(const Shown& s) {
  std::vector<std::string> words;
  size_t width = 0;
  for (float v : s.cells) {
    words.push_back(brief(double(v)));
    width = std::max(width, words.back().size());
  }
  std::string out;
  for (int64_t i = 0; i < s.rows; ++i) {
    out += std::string(kIndent - 2, ' ');
    for (int64_t j = 0; j < s.columns; ++j) out += fmt::format("{:>{}}", words[size_t(i * s.columns + j)], width + 2);
    out += '\n';
  }
  return out;
}

// Two rows of cells per line in colour; else one character per cell, taller or darker for larger values.
std::string heat_text(const Shown& s, const Terminal& terminal) {
  Matrix all{s.rows, s.columns, s.cells};
  Matrix m = shrunk(all, terminal.colour() ? 16 : 8, std::min(64, terminal.width() - 2 * kIndent));
  CellRange range = range_of(m.cells);
  auto share = [&](int64_t i, int64_t j) { return range.share(double(m.at(i, j))); };
  std::string out;
  if (terminal.colour() && m.rows > 1) {
    ColourMap map = range.signs ? ColourMap::diverging : ColourMap::heat;
    for (int64_t i = 0; i < m.rows; i += 2) {
      out += std::string(kIndent, ' ');
      for (int64_t j = 0; j < m.columns; ++j) {
        uint32_t lower = i + 1 < m.rows ? colour_at(map, share(i + 1, j)) : 0;
        out += Terminal::half_block(colour_at(map, share(i, j)), lower);
      }
      out += '\n';
    }
    return out;
  }
  static const char* bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static const char* shades[] = {" ", "░", "▒", "▓", "█"};
  for (int64_t i = 0; i < m.rows; ++i) {
    out += std::string(kIndent, ' ');
    for (int64_t j = 0; j < m.columns; ++j) {
      double t = share(i, j);
      if (std::isnan(t))
        out += "?";
      else if (m.rows == 1)
        out += bars[std::clamp(int(t * 8), 0, 7)];
      else
        out += shades[std::clamp(int(t * 5), 0, 4)];
    }
    out += '\n';
  }
  return out;
}

}  // namespace

Shown summarise(const std::string& name, const Tensor& x) {
  Shown s{.name = name, .dtype = name_of(x.dtype())};
  for (int64_t n : x.shape()) s.shape.push_back(n);
  if (x.numel() == 0) return s;

  std::vector<double> values = real_values(x);
  s.min = INFINITY, s.max = -INFINITY;
  double sum = 0;
  for (double v : values) {
    if (!std::isfinite(v)) {
      ++s.non_finite;
      continue;
    }
    s.min = std::min(s.min, v), s.max = std::max(s.max, v), sum += v;
  }
  int64_t finite = x.numel() - s.non_finite;
  if (finite == 0) s.min = s.max = NAN;
  s.mean = finite ? sum / double(finite) : NAN;

  int64_t columns = x.dim() == 0 ? 1 : x.shape().back();
  int64_t rows = x.dim() < 2 ? 1 : x.shape()[x.dim() - 2];
  Matrix first{rows, columns, {values.begin(), values.begin() + long(rows * columns)}};
  Matrix m = shrunk(first, 32, 64);
  s.exact_cells = m.rows * m.columns == x.numel();
  s.rows = m.rows, s.columns = m.columns, s.cells = std::move(m.cells);
  return s;
}

std::string shown_text(const Shown& s, const Terminal& terminal) {
  std::string line = "  " + terminal.paint(Style::blue, plain_text(s.name)) + "  ";
  std::string kind = fmt::format("{} {}", s.dtype, shape_text(s.shape));
  bool few = s.exact_cells && s.rows <= 8 && s.columns <= 8;
  if (s.cells.empty()) return line + terminal.paint(Style::dim, kind + "  no elements") + "\n";
  if (s.shape.empty()) return line + brief(double(s.cells[0])) + terminal.paint(Style::dim, "  " + kind) + "\n";
  kind += fmt::format("  {} to {}, mean {}", brief(s.min), brief(s.max), brief(s.mean));
  if (s.non_finite) kind += fmt::format(", {} not finite", s.non_finite);
  if (s.shape.size() > 2 && !s.exact_cells) kind += "; the first matrix:";
  return line + terminal.paint(Style::dim, kind) + "\n" + (few ? numbers_text(s) : heat_text(s, terminal));
}

}  // namespace ink::lesson
