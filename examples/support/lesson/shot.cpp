#include "examples/support/lesson/shot.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "examples/support/lesson/report.h"
#include "examples/support/page/number.h"

namespace ink::lesson {

namespace {

constexpr int64_t kMostRows = 24, kMostColumns = 32;

double five_digits(double v) { return std::isfinite(v) ? std::strtod(fmt::format("{:.5g}", v).c_str(), nullptr) : v; }

std::vector<double> magnitudes(const Tensor& x) {
  if (!is_complex(x.dtype())) return x.to_vector<double>();
  std::vector<double> out;
  for (complex<double> z : x.to_vector<complex<double>>()) out.push_back(std::hypot(z.re, z.im));
  return out;
}

// The first rows and columns of a matrix [rows, columns] that starts at values[0].
void take_cells(Shot& s, const std::vector<double>& values, int64_t rows, int64_t columns) {
  s.rows = std::min(rows, kMostRows), s.columns = std::min(columns, kMostColumns);
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t j = 0; j < s.columns; ++j) s.cells.push_back(five_digits(values[size_t(i * columns + j)]));
  std::vector<std::string> cut;
  if (s.rows < rows) cut.push_back(fmt::format("rows 1 to {} of {}", s.rows, rows));
  if (s.columns < columns) cut.push_back(fmt::format("columns 1 to {} of {}", s.columns, columns));
  if (rows * columns < int64_t(values.size())) cut.push_back("the first matrix");
  s.cut = fmt::format("{}", fmt::join(cut, ", "));
}

}  // namespace

Shot::Shot(std::string name_, const Tensor& value, std::vector<Place> marks_)
    : name(std::move(name_)), tensor(value), marks(std::move(marks_)) {}
Shot::Shot(std::string name_, std::string text) : name(std::move(name_)), sentence(std::move(text)) {}
Shot::Shot(std::string name_, std::vector<std::string> labels, std::vector<Place> marks_)
    : name(std::move(name_)), words(std::move(labels)), marks(std::move(marks_)), shape{int64_t(words.size())} {}

void Shot::take() {
  if (!numbers.empty()) return take_cells(*this, numbers, 1, int64_t(numbers.size()));
  if (!words.empty()) {
    rows = 1, columns = std::min(int64_t(words.size()), 2 * kMostColumns);
    if (columns < int64_t(words.size())) cut = fmt::format("1 to {} of {}", columns, words.size());
    words.resize(size_t(columns));
  }
  if (!tensor.defined()) return;
  shape.assign(tensor.shape().begin(), tensor.shape().end());
  if (tensor.numel() == 0) return;
  const int64_t last = tensor.dim() == 0 ? 1 : shape.back();
  take_cells(*this, magnitudes(tensor.detach()), tensor.dim() < 2 ? 1 : shape[shape.size() - 2], last);
}

Json Shot::json() const {
  Json j = Json::object();
  j.set("name", name);
  if (!sentence.empty()) return j.set("text", sentence);
  Json sizes = Json::array(), values = Json::array(), places = Json::array();
  for (int64_t n : shape) sizes.push(n);
  for (double v : cells) values.push(v);
  for (const std::string& w : words) values.push(w);
  for (const Place& p : marks) places.push(Json::array().push(p.row).push(p.column));
  j.set("shape", sizes).set("rows", rows).set("columns", columns).set("cells", values);
  if (!marks.empty()) j.set("marks", places);
  if (!cut.empty()) j.set("cut", cut);
  return j;
}

std::string Shot::text() const {
  if (!sentence.empty()) return sentence;
  if (cells.empty()) return fmt::format("[{}]", fmt::join(words, "  "));
  std::vector<std::string> numbers;
  for (double v : cells) numbers.push_back(brief(v));
  return fmt::format("{}", fmt::join(numbers, "  "));
}

int64_t Moment::size() const {
  int64_t sum = 1;
  for (const Shot& s : shots) sum += 1 + int64_t(s.cells.size() + s.words.size());
  return sum;
}

Json to_json(const Moment& f) {
  Json shots = Json::array();
  for (const Shot& s : f.shots) shots.push(s.json());
  Json j = Json::object();
  return j.set("event", "frame").set("player", f.player).set("title", f.title).set("text", f.text).set("values", shots);
}

}  // namespace ink::lesson
