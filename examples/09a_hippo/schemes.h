// Sections 4 and 5 of lesson 09a: how schemes turn the equation into steps.
#pragma once
#include "examples/support/lesson/lesson.h"

namespace ink::lesson {

void from_equation_to_steps(Lesson& lesson, int64_t most);  // a spring, orders, forward Euler blowing up
void steps_of_legs(Lesson& lesson);                         // 1 / t: the running mean, orders, the density of samples

}  // namespace ink::lesson
