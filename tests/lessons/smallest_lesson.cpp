// The mean of a stream, kept while it runs
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"

using namespace ink;
using namespace ink::lesson;

namespace {

// m_t = m_{t-1} + (x_t - m_{t-1}) / t; the page of the lesson shows this function beside its formula.
std::vector<double> running_means(Lesson& lesson, const std::vector<double>& xs) {
  std::vector<double> means;
  double m = 0;
  for (size_t t = 1; t <= xs.size(); ++t) {
    m += (xs[t - 1] - m) / double(t);  // (99.1)
    means.push_back(m);
    lesson.frame("number " + std::to_string(t), {{"x", xs, {{0, int64_t(t) - 1}}}, {"m", means}},
                 "The mean moves by a $t$-th of the way.");
  }
  return means;
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "99",
                 .name = "99_running_mean",
                 .title = "A running mean",
                 .about = "One number is enough to remember."});
  const int64_t n = lesson.option("numbers", Sizes{.full = 1000, .quick = 8, .tiny = 4}, "length of the stream");
  lesson.section("1. One number at a time", R"(m_t = m_{t-1} + \frac{x_t - m_{t-1}}{t})", "Welford 1962");
  const std::vector<double> xs = randn({n}, f64).to_vector<double>(), means = running_means(lesson, xs);
  double sum = 0;
  for (double x : xs) sum += x;
  lesson.expect("the last mean is that of all", std::abs(means.back() - sum / double(n)), Below{1e-12});
  lesson.plot("means", {{.name = "mean", .y = means}}, {.x = "numbers read", .caption = "It settles."});
  return lesson.finish();
}
