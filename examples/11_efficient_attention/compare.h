// Lesson 11: the speed of all kinds against the length, and what each keeps when decoding.
#pragma once
#include "examples/11_efficient_attention/lesson.h"

namespace ink::lesson {

inline void speed(Lesson& lesson, const Setup& setup) {
  lesson.section("13. Speed against length", R"(\text{one head of 64, forward, not causal})");
  struct Entry {
    std::string name;
    KindChoice kind;
    int64_t longest;
  };
  const int64_t all = setup.longest, some = std::min<int64_t>(all, 2048);
  const std::vector<Entry> pairs{{"softmax", AttentionKind::softmax, all},
                                 {"top 8", kinds::TopK{.keep = 8}, some},
                                 {"local 64", kinds::Local{.window = 64}, all},
                                 {"local or atrous 64", kinds::LocalAtrous{.window = 64, .stride = 64}, all},
                                 {"longformer 64", kinds::Longformer{.window = 64}, all},
                                 {"LSH, 4 rounds", AttentionKind::lsh, all}};
  const std::vector<Entry> rows{
      {"softmax", AttentionKind::softmax, all},    {"Linformer 64", kinds::Linformer{.length = all, .rows = 64}, all},
      {"Nystrom 64", AttentionKind::nystrom, all}, {"Performer", AttentionKind::performer, all},
      {"linear", AttentionKind::linear, all},      {"efficient", AttentionKind::efficient, all}};
  NoGrad guard;
  for (const auto& [figure, entries, caption] :
       {std::tuple("speed-pairs", pairs,
                   "Fewer pairs. Sorting and gathering cost: short sequences are best left to softmax."),
        std::tuple("speed-rank", rows, "Fewer rows, or a sum. The slope is 1, that of softmax 2.")}) {
    std::vector<Series> curves;
    for (const Entry& e : entries) {
      auto core = make_attention_core({.dim = 64, .heads = 1, .kind = e.kind});
      core->to(lesson.device());
      Series s{.name = e.name};
      for (int64_t n = 128; n <= e.longest; n *= 2) {
        Tensor q = randn({1, 1, n, 64}), k = randn({1, 1, n, 64}), v = randn({1, 1, n, 64});
        (void)core->attend(q, k, v, {});  // patterns are laid out once
        s.x.push_back(double(n)), s.y.push_back(milliseconds([&] { return core->attend(q, k, v, {}); }, 3));
      }
      lesson.measured(fmt::format("{}: time of {}", figure, e.name), s.y.back(), "ms");
      curves.push_back(std::move(s));
    }
    lesson.plot(figure, curves, {.x = "tokens", .y = "milliseconds", .log = true, .caption = caption});
  }
}

inline void the_table(Lesson& lesson) {
  lesson.section("14. All of them", R"(\text{keys and values of all tokens, or a sum})");
  struct Entry {
    std::string name;
    AttentionKind kind;
  };
  std::vector<Series> curves;
  NoGrad guard;
  LshCore lsh({.buckets = 16, .causal = true, .strict = true, .seed = 1});
  const int64_t last = lesson.mode() == Mode::tiny ? 64 : 1024;
  auto bytes = [&](const AttentionCore& core, const std::string& name) {
    Series s{.name = name};
    AttentionState state;
    for (int64_t n = 1; n <= last; n *= 2) {
      Tensor x = randn({1, 1, n - state.time, 32});
      (void)core.step(x, x, x, state);
      s.x.push_back(double(n)), s.y.push_back(double(state.bytes()) / 1024);
    }
    curves.push_back(s);
  };
  for (auto [name, kind] :
       {std::pair("softmax, sparse, top k", AttentionKind::softmax), std::pair("linear", AttentionKind::linear),
        std::pair("performer", AttentionKind::performer)})
    bytes(*make_attention_core({.dim = 32, .heads = 1, .causal = true, .kind = kind}), name);
  bytes(*make_attention_core({.dim = 32, .heads = 1, .causal = true, .kind = kinds::Softmax{.window = 64}}),
        "softmax in a window of 64");
  bytes(lsh, "LSH, strict: and hashes");
  lesson.plot("state", curves,
              {.x = "tokens read",
               .y = "KiB a head of 32 keeps",
               .log = true,
               .caption = "Leaving pairs out saves time, not memory: any key may be asked for again. A sum is a sum."});
  for (const Series& s : curves) lesson.value("KiB kept: " + s.name, s.y.back());
  lesson.expect("softmax: state at twice the tokens over that before", curves[0].y.back() / curves[0].y.end()[-2],
                Equals{2});
  lesson.expect("linear: the same", curves[1].y.back() / curves[1].y.end()[-2], Equals{1});
  lesson.listing(
      "                 cost of a layer     exact?               causal   keeps when decoding\n"
      "softmax          n^2 d               yes                  yes      keys, values: 2 n d\n"
      "local w          n (2 w + 1) d       its pairs            yes      the last w keys, values\n"
      "atrous k         n^2 d / k           its pairs            yes      keys, values\n"
      "strided, fixed   n sqrt(n) d         its pairs            yes      keys, values\n"
      "Longformer       n (2 w + 1 + 2 g) d its pairs            yes      keys, values\n"
      "top k            n^2 d               its pairs            yes      keys, values\n"
      "LSH              2 r n c d, hashing  if all pairs met     strict   keys, values, hashes\n"
      "Linformer        2 n m d             E, F a permutation   no       -\n"
      "Nystrom          3 n m d             m = n, exact A^-1    no       -\n"
      "Performer        n m d               as m grows           yes      m d + m\n"
      "linear           n d^2               its own similarity   yes      d^2 + d");
}

}  // namespace ink::lesson
