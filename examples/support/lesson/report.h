// What a lesson said, showed, claimed and drew, in order; written as metrics.json, run.json, a page and SVG files.
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "examples/support/lesson/claim.h"
#include "examples/support/lesson/shot.h"
#include "examples/support/page/json.h"

namespace ink::lesson {

struct Text {
  std::string text;
  bool listing = false;  // keep blanks and line breaks, in a fixed-width face
};

struct Shown {  // a tensor, summarised
  std::string name, dtype;
  std::vector<int64_t> shape = {};
  double min = 0, max = 0, mean = 0;  // of the finite elements
  int64_t non_finite = 0;             // NaN and infinities
  int64_t rows = 0, columns = 0;      // of the cells below
  std::vector<float> cells = {};      // the tensor as a matrix, averaged down to a small size
  bool exact_cells = false;           // nothing was averaged: the cells are the values
};

struct Named {  // a number or text that a page refers to by name
  std::string name;
  Json value;
  std::string unit = {};
  bool deterministic = true;  // the same in every run of one build; false for times, rates and bytes
};

struct Figure {
  std::string name, svg, caption = {};
};

using Item = std::variant<Text, Shown, Claim, Named, Figure, Moment>;

struct Section {
  std::string title, formula = {}, source = {};
  std::vector<std::string> code = {};  // "nn/layers/linear.cpp:forward"
  std::vector<Item> items = {};
};

struct Report {
  std::string name, note, title, about;
  Json settings = Json::object();  // device, dtype, seed, mode, sizes
  std::vector<Section> sections = {};
  double seconds = 0;
  std::string error = {};  // what ended the run, if it did not finish

  void add(Item item);  // to the last section (made if there is none)
  int count(State state) const;
  std::vector<const Claim*> claims() const;
  bool ok() const { return error.empty() && count(State::failed) == 0; }

  Json metrics() const;  // numbers and claims
  Json run() const;      // everything in order, for the page
  // Writes folder/metrics.json, folder/run.json, one SVG per figure and, with `page`, folder/index.html; each file
  // whole or not at all.
  void write(const std::string& folder, bool page = true) const;
};

Json to_json(const Section& section);  // one event of a trace; the same fields stand in metrics.json
Json to_json(const Item& item);
// The ends of a colour scale for cells: their range, symmetric about 0 if they have both signs.
struct CellRange {
  double low, high;
  bool signs;
  double share(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};
CellRange range_of(const std::vector<float>& cells);

std::string shape_text(const std::vector<int64_t>& shape);  // "[2, 3]"
std::string file_name(const std::string& name);             // letters, digits, '_' and '-'; "training-loss"

}  // namespace ink::lesson
