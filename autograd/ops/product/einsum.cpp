// einsum: the operands are contracted from left to right, each pair by one batched matrix product.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "autograd/ops.h"
#include "autograd/ops/halves.h"
#include "tensor/utf8.h"

namespace ink {
namespace {

// A dim's label: a letter of the equation, or '0' .. '7' for the dims an ellipsis stands for, counted from the last
// one.
using Labels = std::string;

bool contains(const Labels& labels, char c) { return labels.find(c) != Labels::npos; }

[[noreturn]] void fail(std::string_view equation, const std::string& what) {
  throw ValueError(
      fmt::format("einsum: {}; got \"{}\"; expected something like \"bij,bjk->bik\"", what, shown(equation)));
}

struct Term {
  Tensor x;
  Labels labels;  // one per dim of x, all different
};

// Replaces "..." by `dims` labels.
Labels expand_ellipsis(std::string_view equation, const std::string& text, int dims) {
  Labels labels;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 3, "...") == 0) {
      if (text.find('.', i + 3) != std::string::npos) fail(equation, "more than one ellipsis in a term");
      for (int d = dims; d-- > 0;) labels += char('0' + d);
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(text[i]))) {
      labels += text[i];
    } else {
      fail(equation, fmt::format("'{}' is not a label", shown(text.substr(i, 1))));
    }
  }
  return labels;
}

// A label that stands twice in one term asks for the diagonal.
Term with_diagonals(std::string_view equation, Tensor x, Labels labels) {
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t j = i + 1; j < labels.size(); ++j)
      if (labels[i] == labels[j]) {
        if (x.size(int64_t(i)) != x.size(int64_t(j)))
          throw ShapeError(fmt::format("einsum: label '{}' has sizes {} and {} in one operand; got \"{}\"", labels[i],
                                       x.size(int64_t(i)), x.size(int64_t(j)), shown(equation)));
        x = diagonal(x, 0, int64_t(i), int64_t(j));  // becomes the last dim
        labels += labels[i];
        labels.erase(j, 1);
        labels.erase(i, 1);
        return with_diagonals(equation, x, labels);
      }
  return {x, labels};
}

// Sums over the dims that nobody needs any more.
Term drop(const Term& t, const Labels& needed) {
  Dims gone;
  Labels left;
  for (size_t d = 0; d < t.labels.size(); ++d) {
    if (contains(needed, t.labels[d]))
      left += t.labels[d];
    else
      gone.push_back(int64_t(d));
  }
  return gone.empty() ? t : Term{sum(t.x, gone), left};
}

// The dims of t in the order of `labels`; a label that t does not have gives a dim of size 1.
Tensor arrange(const Term& t, const Labels& labels) {
  Shape order;
  for (char c : labels)
    if (contains(t.labels, c)) order.push_back(int64_t(t.labels.find(c)));
  Tensor x = permute(t.x, order);
  for (size_t d = 0; d < labels.size(); ++d)
    if (!contains(t.labels, labels[d])) x = unsqueeze(x, int64_t(d));
  return x;
}

Shape sizes_of(const Term& t, const Labels& labels) {
  Shape s;
  for (char c : labels) s.push_back(t.x.size(int64_t(t.labels.find(c))));
  return s;
}

// A size of 1 is stretched to the other operand's size.
void broadcast_shared(std::string_view equation, Term& a, Term& b) {
  Shape to_a = a.x.shape(), to_b = b.x.shape();
  for (size_t d = 0; d < a.labels.size(); ++d) {
    size_t e = b.labels.find(a.labels[d]);
    if (e == Labels::npos) continue;
    int64_t &x = to_a[int(d)], &y = to_b[int(e)];
    if (x != y && x != 1 && y != 1)
      throw ShapeError(
          fmt::format("einsum: label '{}' has sizes {} and {}; got \"{}\"", a.labels[d], x, y, shown(equation)));
    x = y = x == 1 ? y : x;
  }
  if (!(to_a == a.x.shape())) a.x = expand(a.x, to_a);
  if (!(to_b == b.x.shape())) b.x = expand(b.x, to_b);
}

Term contract(std::string_view equation, Term a, Term b, const Labels& needed) {
  a = drop(a, needed + b.labels);
  b = drop(b, needed + a.labels);
  broadcast_shared(equation, a, b);
  Labels batch, left, right, summed;
  for (char c : a.labels) {
    if (!contains(b.labels, c))
      left += c;
    else if (contains(needed, c))
      batch += c;
    else
      summed += c;
  }
  for (char c : b.labels)
    if (!contains(a.labels, c)) right += c;
  const Labels out = batch + left + right;
  if (summed.empty()) return {arrange(a, out) * arrange(b, out), out};
  if (left.empty() && right.empty()) {
    Tensor product = arrange(a, batch + summed) * arrange(b, batch + summed);
    return drop({product, batch + summed}, batch);
  }
  // [batch, left, summed] x [batch, summed, right]
  const Shape nb = sizes_of(a, batch), nl = sizes_of(a, left), nr = sizes_of(b, right), ns = sizes_of(a, summed);
  Shape shape_a{nl.numel(), ns.numel()}, shape_b{ns.numel(), nr.numel()}, shape;
  if (!batch.empty()) shape_a.insert(0, nb.numel()), shape_b.insert(0, nb.numel());
  Tensor y =
      matmul(reshape(arrange(a, batch + left + summed), shape_a), reshape(arrange(b, batch + summed + right), shape_b));
  for (const Shape& s : {nb, nl, nr})
    for (int64_t n : s) shape.push_back(n);
  return {reshape(y, shape), out};
}

struct Equation {
  std::vector<std::string> inputs;
  std::string output;
  bool implicit;
};
Equation parse(std::string_view text) {
  Equation e{{""}, "", true};
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text.substr(i, 2) == "->") {
      if (!e.implicit) fail(text, "two arrows");
      e.implicit = false;
      ++i;
    } else if (!e.implicit) {
      e.output += text[i];
    } else if (text[i] == ',') {
      e.inputs.emplace_back();
    } else {
      e.inputs.back() += text[i];
    }
  }
  return e;
}

}  // namespace

Tensor einsum(std::string_view equation, std::span<const Tensor> operands) {
  Equation e = parse(equation);
  if (e.inputs.size() != operands.size())
    fail(equation, fmt::format("{} terms for {} operands", e.inputs.size(), operands.size()));

  std::vector<Term> terms;
  int ellipsis = 0;  // the most dims an ellipsis stands for
  for (size_t k = 0; k < operands.size(); ++k) {
    const std::string& term = e.inputs[k];
    const bool dots = term.find("...") != std::string::npos;
    const int named = int(term.size()) - (dots ? 3 : 0), extra = operands[k].dim() - named;
    if (extra < 0 || (extra > 0 && !dots))
      throw ShapeError(fmt::format("einsum: term \"{}\" names {} dims, operand {} has shape {}; got \"{}\"",
                                   shown(term), named, k, operands[k].shape().str(), shown(equation)));
    ellipsis = std::max(ellipsis, extra);
    terms.push_back(with_diagonals(equation, operands[k], expand_ellipsis(equation, term, extra)));
  }

  Labels output =
      e.implicit ? expand_ellipsis(equation, "...", ellipsis) : expand_ellipsis(equation, e.output, ellipsis);
  if (e.implicit)  // the labels that stand once, in alphabetical order
    for (int c = 'A'; c <= 'z'; ++c) {
      int uses = 0;
      for (const std::string& term : e.inputs) uses += int(std::count(term.begin(), term.end(), char(c)));
      if (uses == 1) output += char(c);
    }
  Labels known;
  for (const Term& t : terms) known += t.labels;
  for (size_t i = 0; i < output.size(); ++i) {
    if (!contains(known, output[i])) fail(equation, fmt::format("output label '{}' stands in no operand", output[i]));
    if (output.find(output[i], i + 1) != Labels::npos)
      fail(equation, fmt::format("output label '{}' stands twice", output[i]));
  }

  // Of halves one matrix product is rounded once; whatever takes more steps is done in f32.
  auto in_one_step = [&](const Term& a, const Term& b) {
    auto stays = [&](const Term& x, const Term& other) {
      return std::all_of(x.labels.begin(), x.labels.end(), [&](char c) { return contains(other.labels + output, c); });
    };
    auto kept = [&](char c) { return contains(output, c); };
    return stays(a, b) && stays(b, a) && !std::all_of(a.labels.begin(), a.labels.end(), kept) &&
           !std::is_permutation(a.labels.begin(), a.labels.end(), b.labels.begin(), b.labels.end());
  };
  DType type = terms[0].x.dtype();
  bool halves = false;
  for (const Term& t : terms) type = promote(type, t.x.dtype()), halves |= is_half(t.x.dtype());
  halves = halves && !(terms.size() == 2 && in_one_step(terms[0], terms[1]));
  if (halves)
    for (Term& t : terms) t.x = widened(t.x);

  Term result = terms[0];
  for (size_t k = 1; k < terms.size(); ++k) {
    Labels needed = output;
    for (size_t later = k + 1; later < terms.size(); ++later) needed += terms[later].labels;
    result = contract(equation, result, terms[k], needed);
  }
  Tensor y = arrange(drop(result, output), output);
  return halves && !(mode().observers & kAutocast) ? to(y, type) : y;
}
Tensor einsum(std::string_view equation, std::initializer_list<Tensor> operands) {
  return einsum(equation, std::span(operands.begin(), operands.size()));
}

}  // namespace ink
