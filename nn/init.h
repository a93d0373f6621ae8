// Initial values of parameters. fan_in = product of all sizes but the first, fan_out = first size times the receptive
// field.
#pragma once
#include "tensor/random.h"
#include "tensor/tensor.h"

namespace ink::init {

// Uniform in +-gain sqrt(3 / fan_in) with gain = sqrt(2 / (1 + a^2)); He et al. 2015, eq. 14. a = sqrt(5) gives torch's
// default for linear and convolution layers, +-1 / sqrt(fan_in).
Tensor kaiming_uniform(const Shape& shape, double a = 2.23606797749978969, Generator* generator = nullptr);
Tensor kaiming_normal(const Shape& shape, double a = 0, Generator* generator = nullptr);
// Variance 2 / (fan_in + fan_out); Glorot & Bengio 2010, eq. 16.
Tensor xavier_uniform(const Shape& shape, double gain = 1, Generator* generator = nullptr);
Tensor xavier_normal(const Shape& shape, double gain = 1, Generator* generator = nullptr);
Tensor uniform(const Shape& shape, double low, double high, Generator* generator = nullptr);
Tensor normal(const Shape& shape, double std, double mean = 0, Generator* generator = nullptr);
// Normal, redrawn from the inverse distribution function within [mean - 2 std, mean + 2 std].
Tensor trunc_normal(const Shape& shape, double std = 1, double mean = 0, Generator* generator = nullptr);
// Rows (or columns, whichever are fewer) orthonormal, times gain; Saxe et al. 2013.
Tensor orthogonal(const Shape& shape, double gain = 1, Generator* generator = nullptr);

// As long as one lives, this thread's functions above leave the elements as they are: for models whose weights come
// from a file right after (nothing is drawn, and memory that is never touched takes no room).
class Skip {
 public:
  Skip();
  ~Skip();
  Skip(const Skip&) = delete;
  Skip& operator=(const Skip&) = delete;

 private:
  bool before_;
};

}  // namespace ink::init
