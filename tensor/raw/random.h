// Random numbers without a graph. Each call takes as many positions of the generator's stream as it fills elements (two
// for a complex one); `generator` may be null for the default one.
#pragma once
#include "tensor/random.h"
#include "tensor/raw/raw.h"

namespace ink::raw {

// Reserves n positions of the stream.
RandomKey next_key(Generator* generator, int64_t n);
// Writes uniform numbers in [low, high), or normal ones, into a floating point or complex tensor. The two parts of a
// complex number are drawn alike; a complex normal number has variance std^2, half of it in each part.
void uniform_into(const char* op, const Tensor& target, double low, double high, Generator* generator);
void normal_into(const char* op, const Tensor& target, double mean, double std, Generator* generator);
// i64 in [low, high).
Tensor integers(const Shape& shape, Device device, int64_t low, int64_t high, Generator* generator);
// x * mask / (1 - p): an element is kept with probability 1 - p, decided by its row-major position and the key. 0 <= p
// < 1.
Tensor dropout(const Tensor& x, RandomKey key, double p);

}  // namespace ink::raw
