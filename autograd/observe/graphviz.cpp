// The graph of a tensor as text for Graphviz.
#include "autograd/observe/graphviz.h"

#include <fmt/format.h>

#include <unordered_map>

#include "autograd/graph/node.h"

namespace ink {

std::string graphviz(const Tensor& output) {
  std::string text = "digraph graph_of_ops {\n  rankdir=BT; node [fontname=\"sans-serif\"];\n";
  std::unordered_map<const void*, int> names;
  std::vector<const Vertex*> open;
  auto name_of_vertex = [&](const Vertex* v) -> int {
    const void* key = v->creator ? static_cast<const void*>(v->creator.ptr()) : v;
    auto [it, fresh] = names.emplace(key, int(names.size()));
    if (fresh) {
      open.push_back(v);
      if (v->creator)
        text += fmt::format("  n{} [shape=box, label=\"{}\\nsaves {}\"];\n", it->second, v->creator->op->name,
                            v->creator->saved.size());
      else
        text += fmt::format("  n{} [shape=ellipse, style=filled, fillcolor=\"#dde8f5\", label=\"leaf {} {}\"];\n",
                            it->second, v->shape.str(), name_of(v->dtype));
    }
    return it->second;
  };
  if (const Vertex* v = vertex_of(output)) name_of_vertex(v);
  while (!open.empty()) {
    const Vertex* v = open.back();
    open.pop_back();
    if (!v->creator) continue;
    int to = names[v->creator.ptr()];
    for (auto& input : v->creator->inputs)
      if (input)
        text += fmt::format("  n{} -> n{} [label=\"{}\"];\n", name_of_vertex(input.ptr()), to, input->shape.str());
  }
  return text + "}\n";
}

}  // namespace ink
