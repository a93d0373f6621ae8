// What the first lesson shows step by step: a view read through its strides, the graph of three numbers, and a small
// net forward and backward.
#pragma once
#include <fmt/format.h>

#include <cmath>

#include "examples/support/lesson/lesson.h"
#include "examples/support/plot/graph.h"
#include "include/inkstone/ink.h"

namespace ink::lesson {

// The elements of a transpose in reading order: where each stands in the storage.
inline void walk_through_a_view(Lesson& lesson) {
  if (!lesson.wants_frames()) return;
  lesson.player("a transpose, element by element");
  const Tensor storage = arange(8).to(f64) * 10, view = storage.reshape({2, 4}).t();
  const int64_t down = view.strides()[0], right = view.strides()[1];
  Tensor read = full({view.size(0), view.size(1)}, NAN, f64);
  for (int64_t i = 0; i < view.size(0); ++i)
    for (int64_t j = 0; j < view.size(1); ++j) {
      const int64_t place = i * down + j * right;  // (0.1)
      read.index_put_({i, j}, storage.index({place}));
      lesson.frame(fmt::format("element ({}, {})", i, j),
                   {{"storage", storage, {{0, place}}}, {"its view [2, 4], transposed", read, {{i, j}}}},
                   fmt::format("Place {} x {} + {} x {} = {}. {}", i, down, j, right, place,
                               j > 0    ? "One to the right skips four numbers: a row of [2, 4] is four long."
                               : i == 0 ? "The first element is the first number stored."
                                        : "One down is the next number stored."));
    }
}

// The expression of docs/backward.md.
inline void the_smallest_graph(Lesson& lesson) {
  Tensor w = full({}, 3, f64).requires_grad_(), x = full({}, 2, f64).requires_grad_();
  Tensor b = full({}, 1, f64).requires_grad_();
  lesson.figure("graph", graph_picture([&] { return square(w * x + b); }, {{"w", w}, {"x", x}, {"b", b}}),
                "Arrows are the way forward; the gradients were computed against them, from right to left.");
}

// Two numbers, two hidden units, one output; all of it by hand. Every value and every gradient, in the order in which
// they become known.
struct SmallNet {
  Tensor x = tensor({1, -2}, f64), w = tensor({0.5, -0.25, 0.25, 0.5}, f64).reshape({2, 2});
  Tensor u = tensor({1, -0.5}, f64);
  double target = 0.5;
  Tensor z, h, y, loss, dy, du, dh, dz, dw;  // undefined: not known yet

  // A frame of what is known; an empty cell is not.
  void frame(Lesson& lesson, const char* title, const std::string& text) const {
    auto known = [](const Tensor& t, const Shape& shape) { return t.defined() ? t : full(shape, NAN, f64); };
    lesson.frame(title,
                 {{"$x$", x},
                  {"$W$", w},
                  {"$z = W x$", known(z, {2})},
                  {"$h = \\tanh z$", known(h, {2})},
                  {"$u$", u},
                  {"$y = u \\cdot h$", known(y, {})},
                  {"$L = (y - t)^2$", known(loss, {})},
                  {"$dL/dy$", known(dy, {})},
                  {"$dL/du$", known(du, {2})},
                  {"$dL/dh$", known(dh, {2})},
                  {"$dL/dz$", known(dz, {2})},
                  {"$dL/dW$", known(dw, {2, 2})}},
                 text);
  }
  void forward(Lesson& lesson) {
    z = matmul(w, x);
    frame(lesson, "forward: z", "Each hidden unit weighs the two inputs.");
    h = tanh(z);
    frame(lesson, "forward: h", "$\\tanh$ bends: without it, two layers would be one matrix.");
    y = dot(u, h);
    frame(lesson, "forward: y", "The output weighs the hidden units.");
    loss = square(y - target);
    frame(lesson, "forward: L", fmt::format("The target is $t = {}$. One number says how far off the net is.", target));
  }
  void backward(Lesson& lesson) {
    dy = 2 * (y - target);
    frame(lesson, "backward: dL/dy", "The walk back begins at $L$: $dL/dy = 2 (y - t)$. Only $y$ had to be kept.");
    du = dy * h;
    frame(lesson, "backward: dL/du", "$y$ is a sum of $u_j h_j$: a weight's share is what it multiplied, $h_j$.");
    dh = dy * u;
    frame(lesson, "backward: dL/dh", "And the hidden unit's share is its weight $u_j$.");
    dz = dh * (1 - square(h));
    frame(lesson, "backward: dL/dz",
          "Through $\\tanh$: times $1 - h^2$, element by element. A unit near 1 or -1 hardly moves.");
    dw = unsqueeze(dz, 1) * unsqueeze(x, 0);
    frame(lesson, "backward: dL/dW", "$W_{ij}$ multiplied $x_j$ on the way to $z_i$: row $i$ is $dL/dz_i$ times $x$.");
  }
  void step(Lesson& lesson, double lr) {
    w = w - lr * dw, u = u - lr * du;
    z = h = y = loss = dy = du = dh = dz = dw = Tensor();
    frame(lesson, "a step downhill",
          fmt::format("$W$ and $u$ move by -{} times their gradient. Everything computed from them is out of date.",
                      lr));
  }
};

inline void a_net_node_by_node(Lesson& lesson) {
  lesson.player("a small net, node by node");
  SmallNet net;
  net.frame(lesson, "what is given", "An input, two layers of weights. The target is 0.5.");
  net.forward(lesson), net.backward(lesson);

  Tensor w = net.w.clone().requires_grad_(), u = net.u.clone().requires_grad_();
  square(dot(u, tanh(matmul(w, net.x))) - net.target).backward();
  lesson.expect("the small net by hand, node by node: largest distance of its gradients from autograd's",
                std::max((net.dw - w.grad()).abs().max().item(), (net.du - u.grad()).abs().max().item()), Below{1e-12});
  const double before = net.loss.item();
  net.step(lesson, 0.1);
  net.forward(lesson);
  lesson.expect("one step against the gradient lowers its loss: after over before", net.loss.item() / before,
                Below{0.5});
}

}  // namespace ink::lesson
