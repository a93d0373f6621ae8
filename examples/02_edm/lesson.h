// The sections of lesson 02 that stand in files of their own.
#pragma once
#include <memory>

#include "examples/02_edm/nets.h"
#include "examples/support/lesson/lesson.h"

namespace ink::lesson {

// network.cpp
void preconditioning(Lesson& lesson);
void noise_and_weight(Lesson& lesson);
struct Training {
  int64_t steps, batch, width, seeds;
};
// Trains nets that predict four things; returns the first one that predicts EDM's F.
std::unique_ptr<Learner> ablation(Lesson& lesson, const diffusion::Mixture& law, const Training& training);

// sampling.cpp
void flow_on_a_line(Lesson& lesson);
void grid_and_heun(Lesson& lesson, const diffusion::Mixture& law);
void orders(Lesson& lesson, const diffusion::Mixture& law);
void one_net_by_all(Lesson& lesson, const Learner& learner, const diffusion::Mixture& law, int64_t chains);

// digits.cpp
void digits(Lesson& lesson, int64_t steps);

}  // namespace ink::lesson
