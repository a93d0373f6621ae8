// One moment of an algorithm for `Lesson::frame`: named tensors, lists and words, cut to what a page can hold.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "examples/support/page/json.h"
#include "tensor/tensor.h"

namespace ink::lesson {

// A cell that a frame points at: {2, 3}; a whole row is {2}, a whole column {-1, 3}.
struct Place {
  int64_t row = -1, column = -1;
};

// One named value of a frame: a tensor, a number, a row of numbers, a row of labelled cells or a sentence. The places
// at the end are marked.
//   lesson.frame("token 3", {{"S", s, {{2}}}, {"sum", 4.5}, {"read", words}, {"why", "the window has moved on"}});
struct Shot {
  // Matrices are shown whole up to 24 rows and 32 columns, then their first rows and columns, and the page says so. A
  // vector is one row; of a tensor of more than two dims the first matrix is shown. Complex numbers show their
  // magnitude.
  Shot(std::string name, const Tensor& value, std::vector<Place> marks = {});
  template <class T>
  requires std::is_arithmetic_v<T> Shot(std::string name, T value) : name(std::move(name)), numbers{double(value)} {}
  template <class T>
  requires std::is_arithmetic_v<T> Shot(std::string name, const std::vector<T>& row, std::vector<Place> marks = {})
      : name(std::move(name)), numbers(row.begin(), row.end()), marks(std::move(marks)), shape{int64_t(row.size())} {}
  Shot(std::string name, std::string sentence);
  Shot(std::string name, const char* sentence) : Shot(std::move(name), std::string(sentence)) {}
  Shot(std::string name, std::vector<std::string> words, std::vector<Place> marks = {});  // a row of labelled cells

  void take();  // copies the value as it is now into cells; until then nothing is read
  Json json() const;
  std::string text() const;  // numbers, words or the sentence on one line

  std::string name;
  Tensor tensor = {};                   // what is shown, one of: a tensor,
  std::vector<double> numbers = {};     // a row of numbers,
  std::vector<std::string> words = {};  // a row of labelled cells,
  std::string sentence = {};            // text
  std::vector<Place> marks = {};
  std::vector<int64_t> shape = {};  // of the whole
  int64_t rows = 0, columns = 0;    // of the cells
  std::vector<double> cells = {};   // numbers of five digits
  std::string cut = {};             // which part of the whole the cells are
};

// What `Lesson::frame` keeps: one picture of a player.
struct Moment {
  std::string player, title, text;
  std::vector<Shot> shots = {};
  int64_t size() const;  // cells and words
};
Json to_json(const Moment& frame);

}  // namespace ink::lesson
