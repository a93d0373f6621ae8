// The two tasks of lesson 09c, drawn anew for every batch, with the places that count in the loss.
#pragma once
#include "include/inkstone/ink.h"

namespace ink::lesson {

struct Asked {
  Tensor ids;      // i64 [batch, time]
  Tensor places;   // i64 [answers]: where the net must answer, the same in every sample
  Tensor targets;  // i64 [batch, answers]
  Asked on(Device device) const { return {ids.to(device), places.to(device), targets.to(device)}; }
};

// Induction heads (Olsson et al. 2022; Gu & Dao 2023, section 4.1.2): symbols at random; one of them, the marker 0,
// comes twice, at a random place and as the last token. What followed it the first time must be said now. The loss
// counts that one answer: all other tokens are noise, and a loss over them would hide what is learnt.
inline Asked induction(int64_t batch, int64_t length, int64_t symbols, Generator& g) {
  const Tensor noise = randint(1, symbols, {batch, length}, {i64, Device::cpu()}, &g);
  const Tensor first = randint(0, length - 2, {batch, 1}, {i64, Device::cpu()}, &g);
  const Tensor at = arange(0, length, 1, {i64, Device::cpu()}).unsqueeze(0);
  const Tensor ids = masked_fill(noise, logical_or(at == first, at == length - 1), 0);
  return {ids, full({1}, length - 1, {i64, Device::cpu()}), gather(ids, 1, first + 1)};
}

// Selective copying (Gu & Dao 2023, section 4.1.1, after Arjovsky et al. 2016): `count` symbols 2, 3, .. stand at
// random places among `length` blanks (0); then come as many markers (1), at which the symbols must be said in their
// order. The loss counts the markers.
inline Asked selective_copying(int64_t batch, int64_t length, int64_t count, int64_t symbols, Generator& g) {
  const Options whole{i64, Device::cpu()};
  const Tensor symbol = randint(2, symbols + 2, {batch, count}, whole, &g);
  const Tensor any = argsort(rand({batch, length}, {f32, Device::cpu()}, &g), -1).narrow(1, 0, count);
  const Tensor ids = scatter(zeros({batch, length}, whole), 1, std::get<0>(sort(any, -1)), symbol);
  return {cat({ids, ones({batch, count}, whole)}, 1), arange(length, length + count, 1, whole), symbol};
}

}  // namespace ink::lesson
