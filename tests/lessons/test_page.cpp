// What pages are made of: TeX as plain text, Markdown in parts, source code found by name, notes laid out beside their
// run.
#include <filesystem>

#include "examples/support/lesson/report.h"
#include "examples/support/page/file.h"
#include "examples/support/page/items.h"
#include "examples/support/page/markdown.h"
#include "examples/support/page/site.h"
#include "examples/support/page/tex.h"
#include "tensor/error.h"
#include "tests/catch.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::lesson;
using ink::test::TemporaryFolder;

TEST_CASE("TeX as plain text with Unicode signs", "[tex]") {
  const std::pair<const char*, const char*> cases[] = {
      {R"(m_i = \max(m_{i-1}, x_i))", "mᵢ = max(mᵢ₋₁, xᵢ)"},
      {R"(\frac{a + b}{2} + \tfrac12)", "(a + b)/2 + 1/2"},
      {R"(\frac{S_i^\top \phi(q_i)}{\phi(q_i) \cdot z_i})", "(Sᵢᵀ φ(qᵢ))/(φ(qᵢ) · zᵢ)"},
      {R"(\sum_{j \le i} e^{q_i \cdot k_j})", "∑_(j ≤ i) e^(qᵢ · kⱼ)"},
      {R"(\sum_{j=1}^n a_{ij} \odot b)", "∑ⱼ₌₁ⁿ aᵢⱼ ⊙ b"},
      {R"(\hat{y} = \sqrt{x} + \sqrt{1 - x^2} + \sqrt[3]{8})", "y\u0302 = √x + √(1 - x²) + ³√8"},
      {R"(x \in \mathbb{R}^{n \times d}, \; \mathcal{N}(0, I))", "x ∈ ℝ^(n × d), 𝒩(0, I)"},
      {R"(\mathbb{E}_w[\exp(w^\top x)] \le \infty)", "𝔼_w[exp(wᵀ x)] ≤ ∞"},
      {R"(\operatorname{softmax}(QK^\top / \sqrt d)\, V)", "softmax(QKᵀ / √d) V"},
      {R"(\left( \frac{1}{n} \right) \bar{\alpha}_t)", "( 1/n ) α\u0304ₜ"},
      {R"(\begin{aligned} a &= b \\ c &= d \end{aligned} \tag{4.1})", "a = b \nc = d     (4.1)"},
      {R"(\nabla_\theta \log p(x) \approx -\varepsilon/\sigma_t)", "∇_θ log p(x) ≈ -ε/σₜ"},
      {R"(\text{rows of } A \to \{1, \ldots, n\})", "rows of A → {1, …, n}"},
      {R"(\underbrace{a+b}_{\text{both}} \unknowncommand{x})", "a+b (both) unknowncommandx"},
      {"row_max(x) and e^{-x}", "row_max(x) and e⁻ˣ"},  // no command: names stay
      {"S_{i-1} + k_i", "Sᵢ₋₁ + kᵢ"},
      {R"(\frac{a}{)", "a/"},
      {R"(x_{)", "x"},
      {R"(\)", ""},
      {"}", ""},
      {R"(\frac)", "/"},  // unfinished, and yet no crash
  };
  for (const auto& [tex, plain] : cases) CHECK(plain_formula(tex) == plain);
}

TEST_CASE("formulas inside of text", "[tex]") {
  CHECK(plain_text("the sum $S_i$ of $\\phi(k)$, 5 $") == "the sum Sᵢ of φ(k), 5 $");
  CHECK(text_html("a < $b < c$") == "a &lt; <span class=\"tex\">b &lt; c</span>");
}

TEST_CASE("a note is cut into headings, prose, formulas, directives and tables", "[markdown]") {
  using Kind = Block::Kind;
  const std::vector<Block> blocks = blocks_of(
      "# 04 Title\n<!--card loss-->\n\n## Part\n<!--section 2-->\n\nProse\ngoes on.\n\n$$\na = b "
      "\\tag{4.1}\n$$\n\n<!--code a/b.cpp:f-->\n"
      "<!--player tile by tile-->\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```cpp\nint "
      "x;\n```\n![What](figures/x/y.svg) <!--varies-->\n"
      "<!--claims-->\n| x |\n<!--/claims-->\nThe <!--v:a-->1<!--/v--> end.\n");
  std::vector<Kind> kinds;
  for (const Block& b : blocks) kinds.push_back(b.kind);
  CHECK(kinds == std::vector<Kind>{Kind::heading, Kind::card, Kind::heading, Kind::section, Kind::prose, Kind::equation,
                                   Kind::code, Kind::player, Kind::table, Kind::fence, Kind::figure, Kind::claims,
                                   Kind::prose});
  CHECK(blocks[2].text == "Part");
  CHECK(blocks[3].text == "2");
  CHECK(blocks[5].text == "a = b \\tag{4.1}");
  CHECK(blocks[6].text == "a/b.cpp:f");
  CHECK(blocks[7].text == "tile by tile");
  CHECK(blocks[10].target == "figures/x/y.svg");
  std::string text;
  CHECK(tags_of(blocks[5].text, &text) == std::vector<std::string>{"4.1"});
  CHECK(text == "a = b");
}

TEST_CASE("Markdown becomes HTML; formulas are left to KaTeX as they are", "[markdown]") {
  if (!has_markdown()) return;
  CHECK(inline_html("a *b* `c<d` <!--v:x-->1<!--/v-->") == "a <em>b</em> <code>c&lt;d</code> 1");
  CHECK(inline_html("so $a_{1}*b_{2}*c < d$, and `$x$`") ==
        "so <span class=\"tex\">a_{1}*b_{2}*c &lt; d</span>, and <code>$x$</code>");
  CHECK(inline_html("5 $ or $6, and \\$7") == "5 $ or $6, and $7");
  CHECK_THAT(markdown_html("| a | b |\n| --- | --- |\n| $|x|$ | 2 |\n"),
             contains("<td data-label=\"a\"><span class=\"tex\">|x|</span></td>"));
  CHECK_THAT(markdown_html("| $t > 0$ | b | c |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n"),
             contains("<td data-label=\"t &gt; 0\">1</td>"));
  CHECK(inline_html("[`f`](x.h)", [](const std::string& to, const std::string& name) { return to + "?" + name; }) ==
        "<a href=\"x.h?f\"><code>f</code></a>");
}

TEST_CASE("source is found by name: functions, types, constants, members, the second of a name", "[source]") {
  TemporaryFolder folder;
  write_file(folder / "a.cpp", R"(#include "x.h"
                                     // not here: f() { }
                                     namespace n {
                                     struct Pair;
                                     // A pair.
                                     struct Pair {
                                       int a = f({1, 2});  // a call
                                       Pair(int x) : a{x}, b(2) { b = 3; }
                                       int sum() const { return a + b; }
                                       int b;
                                     };
                                     const char* text = "f() { never }";
                                     template <class T = int>
                                     T f(T x) {
                                       if (x) return f(x - 1);  // (4.2)
                                       return g(x);
                                     }
                                     int f(int a, int b);
                                     int f(int a, int b) { return a < b ? '}' : 1'000; }
                                     constexpr double kTable[] = {1, 2};
                                     void declared(int);
                                     }  // namespace n
  )");
  const std::string root = folder / "";
  auto found = [&](const std::string& name) {
    const Snippet s = find_source("a.cpp:" + name, root);
    std::string all;
    for (const std::string& line : s.lines) all += line + "\n";
    return std::to_string(s.line) + "/" + std::to_string(s.name_line) + "\n" + all;
  };
  CHECK_THAT(found("Pair"), contains("5/6\n// A pair.\nstruct Pair {"));
  CHECK_THAT(found("Pair"), contains("  int b;\n};\n"));
  CHECK(found("f") ==
        "13/13\ntemplate <class T = int>\nT f(T x) {\n  if (x) return f(x - 1);  // (4.2)\n  return g(x);\n}\n");
  CHECK(found("f#2") == "19/19\nint f(int a, int b) { return a < b ? '}' : 1'000; }\n");
  CHECK(found("Pair::sum") == "9/9\nint sum() const { return a + b; }\n");
  CHECK(found("kTable") == "20/20\nconstexpr double kTable[] = {1, 2};\n");
  CHECK(found("declared") == "21/21\nvoid declared(int);\n");
  CHECK_THROWS_WITH(find_source("a.cpp:g", root), contains("nothing of that name"));
  CHECK_THROWS_WITH(find_source("b.cpp:g", root), contains("no such file"));
  CHECK_THROWS_WITH(find_source("a.cpp", root), contains("no name"));
  std::string code;
  CHECK(equation_of("  x = y;  // (4.2)", &code) == "4.2");
  CHECK(code == "  x = y;");
  CHECK(equation_of("f(4.2);").empty());
}

TEST_CASE("code in colours, line by line", "[source]") {
  const std::vector<std::string> lines = highlighted(
      {"#include <x>", "int f(Tensor x) { return 1.5e-3f; }  // <a>", "/* one", "two */ auto s = \"a\\\"b\";"});
  CHECK(lines[0] == "<span class=\"m\">#include &lt;x&gt;</span>");
  CHECK_THAT(lines[1],
             contains("<span class=\"t\">int</span> <span class=\"f\">f</span>(<span class=\"t\">Tensor</span> x)"));
  CHECK_THAT(lines[1], contains("<span class=\"n\">1.5e-3f</span>"));
  CHECK_THAT(lines[1], contains("<span class=\"c\">// &lt;a&gt;</span>"));
  CHECK(lines[2] == "<span class=\"c\">/* one</span>");
  CHECK_THAT(lines[3], contains("<span class=\"c\">two */</span> <span class=\"k\">auto</span> s = <span "
                                "class=\"s\">&quot;a\\&quot;b&quot;</span>"));
}

TEST_CASE("a note is laid out beside its run: what it places where it says, the rest at the end of its section",
          "[page]") {
  Report r{.name = "07_demo", .note = "07", .title = "Demo", .about = "Shows."};
  r.sections.push_back({.title = "1. First"});
  r.add(Figure{.name = "one", .svg = "<svg/>", .caption = "Of $x$."});
  r.add(Figure{.name = "two", .svg = "<svg/>"});
  Moment m{.player = "by rows", .title = "row 1", .text = "a </script> b", .shots = {{"m", 2.5}}};
  for (Shot& s : m.shots) s.take();
  r.add(std::move(m));
  r.add(check_claim("it holds", 1, Holds{}));
  r.add(check_claim("of $n$", 9.9999e-6, Below{1e-5}));
  r.add(Named{.name = "n", .value = 3});
  const std::string note =
      "# 07 Demo\n\n## Start\n<!--section 1-->\n\nProse of <!--v:n-->9<!--/v--> and (7.1).\n\n$$\nx = y "
      "\\tag{7.1}\n$$\n\n"
      "![Two](figures/07_demo/two.svg)\n\n<!--code examples/support/page/tex.h:plain_formula-->\n\n## End\n\nLast.\n";
  const std::string page = page_html(note, r.run(), r.metrics());
  size_t at = 0;
  for (const char* part :
       {"<h1>Demo</h1>", "<a href=\"#start\">", "<h2 id=\"start\">", "id=\"eq-7.1\" data-eq=\"7.1\"", "src=\"two.svg\"",
        "plain_formula</a>", "examples/support/page/tex.h:", "src=\"one.svg\"", "<figure class=\"player\"",
        "2 of 2 claims hold", "<h2 id=\"end\">", "<details class=\"run\">"}) {
    INFO(part);
    const size_t found = page.find(part, at);
    CHECK(found != std::string::npos);
    if (found != std::string::npos) at = found;
  }
  if (has_markdown())
    CHECK_THAT(page, contains("Prose of 3 and (<a href=\"#eq-7.1\">7.1</a>)."));  // the number of the run
  CHECK_THAT(page, contains("a <\\/script> b"));
  CHECK_THAT(page, contains("Of <span class=\"tex\">x</span>."));
  CHECK_THAT(page, contains("of <span class=\"tex\">n</span>"));
  CHECK(page.find("src=\"two.svg\"") == page.rfind("src=\"two.svg\""));  // once
  CHECK(page.find("<figure class=\"player\"") == page.rfind("<figure class=\"player\""));
}
