// The lesson's section 7: trained models read longer texts than they were trained on.
#pragma once
#include <fmt/format.h>

#include <string>
#include <vector>

#include "examples/08_gau_flash/lesson.h"

namespace ink::lesson {

// models: count, length, square, ..., and FLASH last.
inline void longer_texts(Lesson& lesson, const Book& book, const std::vector<const Trained*>& models) {
  lesson.section(
      "7. Longer than in training",
      R"(\frac{\text{relu}^2}{s\, c_i}, \quad \frac{\text{relu}^2}{s\, n}, \quad \frac{\text{relu}^2}{n^2}, \quad )"
      R"(\text{softmax}\Big(\frac{q \cdot k}{\sqrt s} \frac{\ln c_i}{\ln 512}\Big))",
      "Su, kexue.fm 9052");
  const int64_t t = book.setup.context;
  std::vector<Series> curves;
  std::string table = fmt::format("{:<20} {:>8} {:>8} {:>8}\n", "held-out loss at", t, 2 * t, 4 * t);
  for (const Trained* m : models) {
    curves.push_back({.name = m->name,
                      .x = {double(t), double(2 * t), double(4 * t)},
                      .y = {m->held_out, book.loss_at(*m, 2 * t), book.loss_at(*m, 4 * t)}});
    const std::vector<double>& y = curves.back().y;
    table += fmt::format("{:<20} {:>8.3f} {:>8.3f} {:>8.3f}\n", m->name, y[0], y[1], y[2]);
    lesson.value("rise at twice the length, " + m->name, y[1] - y[0], "nats per character");
    lesson.value("rise at four times the length, " + m->name, y[2] - y[0], "nats per character");
  }
  lesson.listing(table);
  lesson.plot("length", curves,
              {.x = "characters read at once",
               .y = "nats per character",
               .log_x = true,
               .caption = "Trained at the length on the left, read at two and four times it as they are.",
               .height = 460});
  auto rise = [&](size_t i, size_t at) { return curves[i].y[at] - curves[i].y[0]; };
  lesson.expect("at twice the length 1/n² loses more than 1/c_i, by", rise(2, 1) - rise(0, 1), Above{0.02},
                Needs::training);
  lesson.expect("at four times the length FLASH loses", rise(models.size() - 1, 2), Below{0.06}, Needs::training);
  lesson.expect("and less than GAU, relu² / c_i, by", rise(0, 2) - rise(models.size() - 1, 2), Above{0.05},
                Needs::training);
}

}  // namespace ink::lesson
