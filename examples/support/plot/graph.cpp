#include "examples/support/plot/graph.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <span>

#include "autograd/graph/engine.h"
#include "autograd/observe/trace.h"
#include "autograd/ops.h"
#include "examples/support/page/number.h"
#include "examples/support/plot/svg.h"
#include "tensor/error.h"
#include "tensor/io.h"

namespace ink::lesson {

namespace {

// Every op as it ran. The handles keep the results alive, so that no two of them have one address.
struct OpRun {
  std::string op;
  std::vector<Tensor> inputs;
  Tensor output;
};
void note_op(void* context, const char* op, std::span<const Tensor* const> inputs, std::span<const Tensor> outputs) {
  if (outputs.empty()) return;
  OpRun run{op, {}, outputs[0]};
  for (const Tensor* t : inputs)
    if (t && t->defined()) run.inputs.push_back(*t);
  static_cast<std::vector<OpRun>*>(context)->push_back(std::move(run));
}

std::string row_text(const std::vector<double>& values, size_t from, size_t count) {
  std::string out;
  for (size_t i = from; i < from + count; ++i) out += (i > from ? "  " : "") + brief(values[i], 3);
  return out;
}

// The numbers of a small tensor, a matrix row by row; the range of a large one.
std::string values_text(const Tensor& x) {
  const std::vector<double> values = x.detach().to(f64).to_vector<double>();
  if (values.empty()) return "empty";
  if (values.size() > 8) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return fmt::format("{} to {}", brief(*low, 3), brief(*high, 3));
  }
  const size_t columns = x.dim() < 2 ? values.size() : size_t(x.shape().back());
  std::string out;
  for (size_t i = 0; i < values.size(); i += columns) out += (i > 0 ? "<br/>" : "") + row_text(values, i, columns);
  return out;
}

std::string node_text(int id, const std::string& name, const Tensor& x, const Tensor& gradient, const char* fill) {
  const std::string shape =
      x.dim() == 0 ? "" : fmt::format(" <font point-size=\"10\" color=\"#6b6b73\">{}</font>", x.shape().str());
  std::string rows =
      fmt::format("<tr><td><b>{}</b>{}</td></tr><tr><td>{}</td></tr>", escaped(name), shape, values_text(x));
  if (gradient.defined())
    rows += fmt::format("<tr><td><font color=\"#b8336a\">grad {}</font></td></tr>", values_text(gradient));
  return fmt::format(
      "  n{} [fillcolor=\"{}\", label=<<table border=\"0\" cellborder=\"0\" cellspacing=\"0\" "
      "cellpadding=\"2\">{}</table>>];\n",
      id, fill, rows);
}

}  // namespace

std::string graph_dot(const std::function<Tensor()>& loss, const std::vector<NamedTensor>& names) {
  std::vector<OpRun> runs;
  Tensor root;
  {
    Trace trace(note_op, &runs);
    root = loss();
  }
  if (!root.defined() || root.numel() != 1 || !root.requires_grad())
    throw ValueError(
        "graph_picture: no loss; expected a function that returns one number which depends on a tensor that requires a "
        "gradient");
  std::map<const void*, const OpRun*> made_by;
  for (const OpRun& run : runs) made_by[run.output.impl()] = &run;
  std::string text =
      "digraph loss {\n  rankdir=LR; bgcolor=\"transparent\"; nodesep=0.25; ranksep=0.45;\n"
      "  node [shape=box, style=\"filled,rounded\", color=\"#8e8e96\", fontname=\"Helvetica\", fontsize=12];\n"
      "  edge [color=\"#8e8e96\", arrowsize=0.7];\n";
  std::string edges;
  std::map<const void*, int> ids;
  std::vector<Tensor> open;
  const auto id_of = [&](const Tensor& t) {
    const auto [it, fresh] = ids.emplace(t.impl(), int(ids.size()));
    if (fresh) open.push_back(t);
    return it->second;
  };
  id_of(root);
  for (size_t next = 0; next < open.size(); ++next) {
    const Tensor t = open[next];
    const int id = id_of(t);
    std::string name = "constant";
    const char* fill = "#f1f1ee";
    auto made = made_by.find(t.impl());
    if (made != made_by.end()) name = made->second->op, fill = "#ffffff";
    for (const NamedTensor& n : names)
      if (n.value.impl() == t.impl()) name = n.name, fill = "#dde8f5";
    Tensor gradient;
    if (t.impl() == root.impl())
      gradient = ones_like(root);
    else if (t.requires_grad())
      gradient = grad(root, t, {}, {.retain_graph = true, .allow_unused = true});
    text += node_text(id, name, t, gradient, fill);
    if (made == made_by.end()) continue;
    for (const Tensor& input : made->second->inputs) edges += fmt::format("  n{} -> n{};\n", id_of(input), id);
  }
  return text + edges + "}\n";
}

std::string graph_picture(const std::function<Tensor()>& loss, const std::vector<NamedTensor>& names) {
  const std::string text = graph_dot(loss, names);
  std::string folder = (std::filesystem::temp_directory_path() / "ink_graph_XXXXXX").string(), svg;
  if (!mkdtemp(folder.data())) throw IoError("graph_picture: cannot make a folder for temporary files");
  write_file_atomically(folder + "/graph.dot", text);
  const std::string command = fmt::format("dot -Tsvg -o '{0}/graph.svg' '{0}/graph.dot' 2>/dev/null", folder);
  if (std::system(command.c_str()) == 0) svg = read_file(folder + "/graph.svg");
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  // What stands before <svg> names a document type that pages do not need.
  if (const size_t begin = svg.find("<svg"); begin != std::string::npos) return svg.substr(begin);
  Svg message(420, 60, "graph");
  message.text({16, 36}, "Graphviz draws this graph: the package graphviz is missing", {.colour = kDim});
  return message.str();
}

}  // namespace ink::lesson
