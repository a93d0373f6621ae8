// What runs an exercise's checks: what counts as solved, and that the test of the exercises themselves would notice a
// bad one.
#include "examples/support/exercise/exercise.h"
#include "tests/catch.h"

using namespace ink;
using namespace ink::exercise;

namespace {

// An exercise whose function doubles a number; "large" looks at what "values" does not.
using Function = double (*)(double);
void checks(Check& check, Function f) {
  check.on("values", {{"x", 1}});
  check.close(f(1), 2);
  check.on("large", {{"x", 1000}});
  check.close(f(1000), 2000);
}
double unwritten(double) { throw NotWritten{}; }
double twice(double x) { return x + x; }
double square(double x) { return 2 * x * x; }
double one(double) { return 1; }
double broken(double x) { throw ValueError("broken: no result; got " + show(x)); }

int outcome(Function yours, std::initializer_list<const char*> flags = {}, Function solution = twice,
            std::vector<Wrong<Function>> wrong = {{"squares", "large", square}, {"constant", "values", one}}) {
  std::vector<char*> argv{const_cast<char*>("exercise_twice")};
  for (const char* flag : flags) argv.push_back(const_cast<char*>(flag));
  return run(int(argv.size()), argv.data(), checks, {yours, solution, std::move(wrong)});
}

// What one comparison says: 0 equal, 1 not; undefined tensors count as not written, which is 1 as well.
int compare(const Tensor& got, const Tensor& expected) {
  static Tensor a, b;
  a = got, b = expected;
  char name[] = "exercise_compare", *argv[] = {name};
  auto one_case = [](Check& check) {
    check.on("values", {{"got", a}});
    check.close(a, b);
  };
  return run(1, argv, Answers<Checks>{one_case, one_case, {}});
}

}  // namespace

TEST_CASE("an exercise is solved if every comparison holds", "[exercises]") {
  CHECK(outcome(twice) == 0);
  CHECK(outcome(square) == 1);
  CHECK(outcome(one) == 1);
  CHECK(outcome(broken) == 1);
  CHECK(outcome(unwritten) == 1);
}

TEST_CASE("the test of an exercise wants a solution, an empty body, and wrong answers that break what they name",
          "[exercises]") {
  CHECK(outcome(unwritten, {"--self-test"}) == 0);
  CHECK(outcome(twice, {"--self-test"}) == 1);                                            // the empty body is not empty
  CHECK(outcome(unwritten, {"--self-test"}, square) == 1);                                // the solution is wrong
  CHECK(outcome(unwritten, {"--self-test"}, twice, {{"constant", "values", one}}) == 1);  // one wrong answer only
  CHECK(outcome(unwritten, {"--self-test"}, twice, {{"squares", "values", square}, {"constant", "values", one}}) == 1);
  CHECK(outcome(unwritten, {"--self-test"}, twice, {{"right", "large", twice}, {"constant", "values", one}}) == 1);
}

TEST_CASE("comparisons see elements, shapes, dtypes, NaN and tensors that are not there", "[exercises]") {
  CHECK(compare(matrix({{1, 2}}), matrix({{1, 2}})) == 0);
  CHECK(compare(matrix({{1, 2}}).to(f32), matrix({{1, 2}})) == 0);  // an f64 reference serves any precision
  CHECK(compare(matrix({{1, 2}}), matrix({{1, 2.001}})) == 1);
  CHECK(compare(matrix({{1, 2}}), matrix({{1}, {2}})) == 1);
  CHECK(compare(matrix({{1, 2}}), matrix({{1, 2}}).to(i64)) == 1);
  CHECK(compare(matrix({{1, NAN}}), matrix({{1, 2}})) == 1);
  CHECK(compare(Tensor(), matrix({{1, 2}})) == 1);
}

TEST_CASE("values are shown as they are written", "[exercises]") {
  CHECK(show(matrix({{1, 2.5}, {-3, INFINITY}})) == "[[1, 2.5], [-3, inf]]");
  CHECK(show(matrix({{1, 2, 3}, {4, 5, 6}, {7, 8, 9}})) == "[[1, 2, 3],\n [4, 5, 6],\n [7, 8, 9]]");
  CHECK(show(arange(12).unsqueeze(1)) == "[[0], [1], [2], [3], [4], [5], [6], [7], [8], [9], [10], [11]]");
  CHECK(show(zeros({1, 0})) == "[[]]");
  CHECK(show(zeros({10, 10})) == "f32 [10, 10] (100 elements)");
  CHECK(show(Tensor()) == "an undefined tensor");
  CHECK(show(Samples{0.1, 1e-20}) == "[0.1, 1e-20]");
}

TEST_CASE("the peak of memory is what tensors add while a function runs", "[exercises]") {
  Tensor before = zeros({1000});
  CHECK(peak_bytes([] {
          zeros({1000}, f64);
          zeros({500}, f64);
        }) == 8000);
  CHECK(peak_bytes([] { Tensor a = zeros({1000}, f64), b = zeros({500}, f64); }) == 12000);
}
