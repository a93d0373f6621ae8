// What a format would lose: counts, for every op and for tensors by name, of the values that it flushes to zero, holds
// as subnormal numbers, or cannot hold; and how their exponents are spread.
//
//   Numerics seen(formats::f16);
//   loss.backward();
//   seen.watch("w1.grad", w1.grad());
//   std::cout << seen.table();
#pragma once
#include <array>
#include <string>
#include <vector>

#include "autograd/observe/trace.h"
#include "tensor/math/float_format.h"

namespace ink {

struct ValueCounts {
  static constexpr int kLowest = -160,
                       kHighest = 128;  // exponents in the histogram; f64 beyond them counts at the ends
  int64_t values = 0;
  int64_t zeros = 0;       // exactly 0 already
  int64_t flushed = 0;     // rounded to 0
  int64_t subnormal = 0;   // rounded to a number with fewer bits
  int64_t overflowed = 0;  // finite, but beyond the largest number
  int64_t not_finite = 0;  // infinite or NaN already
  // values by floor(log2 |x|); those that are 0 or not finite are in none
  std::array<int64_t, kHighest - kLowest + 1> exponents{};

  int64_t with_exponent(int e) const { return exponents[size_t(e - kLowest)]; }
  // Flushed and overflowed, of the finite values that were not 0; 0 if there were none.
  double lost() const;
  void add(const ValueCounts& other);
};

// The elements of scale * x, looked at with the format's eyes. DTypeError unless x is floating point.
ValueCounts count_values(const Tensor& x, const FloatFormat& format, double scale = 1);

struct NumericsRow {
  std::string name;  // of an op, or of a tensor that was given to watch()
  bool recorded;     // an op of a graph being recorded; false in a backward pass
  int64_t calls = 0;
  ValueCounts counts;
};

// Counts the results of this thread's ops while it lives; results that are views of an input are not counted again. Of
// a conversion the values before it are counted: under Autocast the casts show what they lose, while products round
// inside and show what is left. Without a guard ops are not slower.
class Numerics {
 public:
  explicit Numerics(const FloatFormat& format);
  Numerics(const Numerics&) = delete;
  Numerics& operator=(const Numerics&) = delete;
  // Counts scale * x under a name: a parameter, a gradient.
  void watch(const std::string& name, const Tensor& x, double scale = 1);
  const std::vector<NumericsRow>& rows() const { return rows_; }  // in order of appearance
  const NumericsRow* find(const std::string& name) const;         // the first row of that name; null if there is none
  std::string table() const;

 private:
  static void look(void* self, const char* op, std::span<const Tensor* const> inputs, std::span<const Tensor> outputs);
  NumericsRow& row(const std::string& name, bool recorded);
  FloatFormat format_;
  std::vector<NumericsRow> rows_;
  Trace trace_;
};

}  // namespace ink
