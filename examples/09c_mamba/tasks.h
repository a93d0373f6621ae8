// The two tasks of lesson 09c, drawn anew for every batch, with the places that count in the loss.
#pragma once
#include "include/inkstone/ink.h"

namespace ink::lesson {

struct Asked {
  Tensor ids;      // i64 [batch, time]
  Tensor places;   // i64 [answers]: where the net must answer, the same in every sample
  Tensor targets;  // i64 [batch, answers]
};

// Induction heads (Olsson et al. 2022; Gu & Dao 2023, section 4.1.2): symbols at random; one of them, the marker, comes
// twice, at a random place and as the last token. What followed it the first time must be said now. The loss counts
// that one answer: all other tokens are noise, and a loss over them would hide what is learnt.
inline Asked induction(int64_t batch, int64_t length, int64_t symbols, Generator& g) {
  const Tensor noise = randint(1, symbols, {batch, length}, i64, &g);                // 0 is the marker
  const Tensor where = randint(0, length - 2, {batch, 1}, i64, &g);                  // its first place
  const Tensor at = arange(0, length, 1, i64).unsqueeze(0);
  const Tensor marked = logical_or(at == where, at == length - 1);
  const Tensor ids = masked_fill(noise, marked, 0);
  return {ids, full({1}, length - 1, i64), gather(ids, 1, where + 1)};
}

// Selective copying (Gu & Dao 2023, section 4.1.1, after Arjovsky et al. 2016): `count` symbols stand in order at random
// places among blanks (0); then as many markers (1), at which the symbols must be said in their order. The loss counts
// the markers.
inline Asked selective_copying(int64_t batch, int64_t length, int64_t count, int64_t symbols, Generator& g) {
  const Tensor symbol = randint(2, symbols + 2, {batch, count}, i64, &g);
  const Tensor shuffled = argsort(rand({batch, length}, {}, &g), -1).narrow(1, 0, count);
  const Tensor where = std::get<0>(sort(shuffled, -1));
  const Tensor ids = scatter(zeros({batch, length}, i64), 1, where, symbol);
  return {cat({ids, ones({batch, count}, i64)}, 1), arange(length, length + count, 1, i64), symbol};
}

}  // namespace ink::lesson
