// What an exercise is written with: cases that name their property and inputs, comparisons that end at the first that
// fails, and the main function, which runs the checks on what a reader wrote. docs/exercises.md shows how the parts
// fit.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "inkstone/ink.h"
#include "inkstone/testing.h"

namespace ink::exercise {

// Thrown by a body that is still to be written.
struct NotWritten {};

using Samples = std::vector<double>;

// An f64 tensor of two dims: matrix({{1, 2}, {3, 4}}), matrix({{1}}).
Tensor matrix(std::initializer_list<Nested> rows);

// Values as they are printed in a report: all elements if they are few, else shape and dtype.
std::string show(const Tensor& x);
std::string show(const Samples& x);
std::string show(double x);

// One input of a case, by name.
struct Input {
  std::string name, value;
  Input(std::string name, const Tensor& x) : name(std::move(name)), value(show(x)) {}
  Input(std::string name, const Samples& x) : name(std::move(name)), value(show(x)) {}
  Input(std::string name, double x) : name(std::move(name)), value(show(x)) {}
  Input(std::string name, std::string text) : name(std::move(name)), value(std::move(text)) {}
};

// What the checks of an exercise talk to. `on` comes before the function under test is called, so that a crash inside
// it can be told too. Every comparison that fails throws, and the report shows the case.
class Check {
 public:
  // The property that the comparisons up to the next call look at, and what goes into the function.
  void on(const std::string& property, std::vector<Input> inputs);
  // All elements within the tolerance; without one, that of sums of 64 terms in got's dtype. An f64 `expected` may
  // stand against any floating point dtype. `what` names the part of a result that has several: "dq".
  void close(const Tensor& got, const Tensor& expected, const std::string& what = "result");
  void close(const Tensor& got, const Tensor& expected, const verify::Tolerance& tolerance,
             const std::string& what = "result");
  void close(const Samples& got, const Samples& expected, const std::string& what = "result");
  void close(double got, double expected, const std::string& what = "result");
  // A condition that no pair of tensors expresses: what was found, and what should be.
  void holds(bool condition, const std::string& got, const std::string& expected);
  // A probe of inkstone/testing.h: causality, gradcheck, ...
  void holds(const verify::Result& result, const std::string& expected);
  void holds(const GradcheckResult& result, const std::string& expected);

  const std::string& property() const { return property_; }
  const std::vector<Input>& inputs() const { return inputs_; }
  const std::vector<std::string>& properties() const { return properties_; }  // those begun so far, each once
  int comparisons() const { return comparisons_; }

 private:
  [[noreturn]] void fail(const std::string& got, const std::string& expected) const;
  std::string property_;
  std::vector<Input> inputs_;
  std::vector<std::string> properties_;
  int comparisons_ = 0;
};

// The most bytes that tensors held while f ran, beyond those held before.
int64_t peak_bytes(const std::function<void()>& f);

// An answer that is wrong on purpose: the checks must end at the property that it breaks.
template <class Function> struct Wrong {
  std::string what, breaks;
  Function function;
};

// The functions that are held against the checks of one exercise.
template <class Function> struct Answers {
  Function yours, solution;
  std::vector<Wrong<Function>> wrong;
};

using Checks = std::function<void(Check&)>;
int run(int argc, char** argv, const Answers<Checks>& answers);

// The main function of an exercise. Without flags: checks `yours` and reports; 0 if it is solved, 1 if not. With
// --self-test: 0 if the solution passes, `yours` is not written yet, and each wrong answer breaks the property that it
// names.
template <class Function>
int run(int argc, char** argv, void (*checks)(Check&, Function),
        const Answers<std::type_identity_t<Function>>& answers) {
  auto bind = [checks](Function f) { return Checks([checks, f](Check& check) { checks(check, f); }); };
  Answers<Checks> bound{bind(answers.yours), bind(answers.solution), {}};
  for (const auto& w : answers.wrong) bound.wrong.push_back({w.what, w.breaks, bind(w.function)});
  return run(argc, argv, bound);
}

}  // namespace ink::exercise
