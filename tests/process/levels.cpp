// What has the same bits on every CPU level of the build: the program runs itself once on each and compares.
//
//   process_levels [EXPECTED]   77 if the build has fewer levels that run here than EXPECTED
#include <cstring>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "tests/process/cases.h"

using namespace ink;

namespace {

uint64_t hash_of(const Tensor& t) {
  uint64_t h = 14695981039346656037u;
  const Tensor x = t.contiguous();
  const auto* p = static_cast<const unsigned char*>(x.raw_data());
  for (int64_t i = 0; i < x.nbytes(); ++i) h = (h ^ p[i]) * 1099511628211u;
  return h;
}

// A line for each result.
void print() {
  manual_seed(7);
  for (DType t : {f32, f64, f16, bf16}) {
    const Tensor a = rand({1003}, t), b = rand({1003}, t) + 0.5;
    Generator g(3);
    const Tensor results[] = {a,
                              a + b,
                              a - b,
                              a * b,
                              a / b,
                              sqrt(a),
                              abs(a - b),
                              maximum(a, b),
                              round(a * 100),
                              max(a),
                              a.to(bf16),
                              dropout(a, 0.3, true),
                              std::get<0>(sort(a, 0)),
                              std::get<1>(sort(b, 0)),
                              (a < b).to(u8),
                              flip(a, {0}),
                              index_select(a, 0, randint(0, 1003, {50}, i64, &g))};
    for (const Tensor& r : results)
      std::printf("%s %016llx\n", name_of(t), static_cast<unsigned long long>(hash_of(r)));
  }
  for (const Tensor& r : {randint(0, 1 << 30, {1001}), randperm(999), cumsum(randint(0, 9, {77}), 0)})
    std::printf("i64 %016llx\n", static_cast<unsigned long long>(hash_of(r)));
}

std::string output_on(const char* level) {
  setenv("INK_CPU_LEVEL", level, 1);
  FILE* out = popen("/proc/$PPID/exe print 2>/dev/null", "r");
  std::string text;
  for (int c; (c = std::fgetc(out)) != EOF;) text += char(c);
  return pclose(out) == 0 ? text : "";  // no such level in this build, or not on this CPU
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "print") == 0) return print(), 0;
  const int expected = argc > 1 ? std::atoi(argv[1]) : 2;
  std::string first, levels;
  int count = 0;
  for (const char* level : {"base", "v3", "v4", "scalar"}) {
    const std::string text = output_on(level);
    if (text.empty()) continue;
    ++count, levels += std::string(" ") + level;
    if (first.empty()) first = text;
    if (text != first) return std::printf("level %s gives other bits than %s\n", level, levels.c_str()), 1;
  }
  std::printf("the same bits on%s\n", levels.c_str());
  return count < expected ? 77 : 0;
}
