// Pictures of graphs: every op with its value and gradient.
#include "examples/support/plot/graph.h"

#include <cstdlib>

#include "autograd/ops.h"
#include "tensor/error.h"
#include "tests/catch.h"

using namespace ink;
using namespace ink::lesson;

namespace {

int how_often(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("the graph of (w x + b)^2 has values and gradients of docs/backward.md", "[graph]") {
  Tensor w = tensor({3}).requires_grad_(), x = tensor({2}), b = tensor({1}).requires_grad_();
  const auto loss = [&] { return square(w * x + b).sum(); };
  const std::string text = graph_dot(loss, {{"w", w}, {"x", x}, {"b", b}});
  CHECK(how_often(text, " -> ") == 6);                   // two into *, two into +, one into square and sum
  CHECK(how_often(text, "fillcolor=\"#dde8f5\"") == 3);  // the named ones
  CHECK_THAT(text, contains("<b>w</b>"));
  CHECK_THAT(text, contains("<td>49</td>"));
  for (const char* gradient : {"grad 28", "grad 14", "grad 1<"}) CHECK_THAT(text, contains(gradient));
  CHECK(how_often(text, "grad ") == 6);  // x wants none
  CHECK_FALSE(w.grad().defined());
  CHECK_THROWS_AS(graph_dot([&] { return x * 2; }, {}), ValueError);
}

TEST_CASE("Graphviz lays the graph out", "[graph]") {
  Tensor w = tensor({3, -1}).requires_grad_();
  const std::string svg = graph_picture([&] { return (w * w).sum(); }, {{"w", w}});
  CHECK(svg.starts_with("<svg"));
  if (std::system("command -v dot > /dev/null 2>&1") == 0) {
    CHECK_THAT(svg, contains(">w</text>"));
    CHECK_THAT(svg, contains("grad 6"));
  } else {
    CHECK_THAT(svg, contains("package graphviz"));
  }
}
