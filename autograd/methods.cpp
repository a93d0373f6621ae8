// Tensor's methods and operators: each is the free function of the same name.
#include <fmt/format.h>

#include "autograd/graph/engine.h"
#include "autograd/graph/node.h"
#include "autograd/ops.h"
#include "autograd/ops/view/inplace.h"
#include "tensor/raw/raw.h"

namespace ink {

// ---- autograd
Tensor& Tensor::requires_grad_(bool on) {
  checked();
  Vertex* v = vertex_of(*this);
  if (v && v->creator) {
    if (on) return *this;
    throw GradError("requires_grad_: only a leaf can be switched off; hint: use detach()");
  }
  if (on && !is_differentiable(dtype()))
    throw GradError(fmt::format("requires_grad_: {} has no gradients; expected a floating point or complex dtype",
                                name_of(dtype())));
  if (!on) {
    impl_->graph = {};
  } else if (!v) {
    v = new Vertex;
    impl_->graph = Ref<GraphSlot>(v);
    v->shape = shape();
    v->dtype = dtype();
    v->device = device();
  }
  return *this;
}
bool Tensor::is_leaf() const {
  Vertex* v = vertex_of(*this);
  return !v || !v->creator;
}
Tensor Tensor::grad() const {
  Vertex* v = vertex_of(*this);
  if (!v) return {};
  GradLock lock(*v);
  return v->grad;
}
void Tensor::set_grad(const Tensor& g) const {
  Vertex* v = vertex_of(*this);
  if (!v) throw GradError("set_grad: the tensor does not require a gradient; hint: requires_grad_() first");
  if (g.defined() && !(g.shape() == shape()))
    throw ShapeError(fmt::format("set_grad: wrong shape; got {}; expected {}", g.shape().str(), shape().str()));
  Tensor before = g;  // the old gradient dies after the lock is gone
  GradLock lock(*v);
  std::swap(v->grad, before);
}
void Tensor::zero_grad() const {
  Vertex* v = vertex_of(*this);
  if (!v) return;
  Tensor before;
  GradLock lock(*v);
  std::swap(v->grad, before);
}
Tensor Tensor::detach() const { return ink::detach(*this); }
void Tensor::retain_grad() const {
  Vertex* v = vertex_of(*this);
  if (!v) throw GradError("retain_grad: the tensor does not require a gradient");
  v->retains_grad = true;
}
void Tensor::backward(const Tensor& gradient, bool retain_graph, bool create_graph) const {
  ink::backward(std::span(this, 1), std::span(&gradient, 1), {create_graph, retain_graph, false});
}

// ---- conversions
Tensor Tensor::to(DType dtype) const { return ink::to(*this, dtype); }
Tensor Tensor::to(Device device, bool non_blocking) const { return ink::to(*this, device, non_blocking); }
Tensor Tensor::to(const Options& options) const { return ink::to(*this, options); }
Tensor Tensor::contiguous() const { return ink::contiguous(*this); }
Tensor Tensor::clone() const { return ink::clone(*this); }

// ---- in place (add_ and its kin: inplace.cpp; uniform_ and normal_: random.cpp)
Tensor& Tensor::index_put_(std::initializer_list<Index> where, const Tensor& value, bool accumulate) {
  index_put_into(*this, {where.begin(), where.size()}, value, accumulate);
  return *this;
}

// ---- shape
Tensor Tensor::reshape(const Shape& s) const { return ink::reshape(*this, s); }
Tensor Tensor::view(const Shape& s) const { return ink::view(*this, s); }
Tensor Tensor::flatten(int64_t first, int64_t last) const { return ink::flatten(*this, first, last); }
Tensor Tensor::transpose(int64_t a, int64_t b) const { return ink::transpose(*this, a, b); }
Tensor Tensor::t() const {
  if (dim() > 2)
    throw ShapeError(fmt::format("t: needs at most 2 dims; got shape {}; hint: transpose(a, b)", shape().str()));
  return dim() < 2 ? *this : ink::transpose(*this, 0, 1);
}
Tensor Tensor::permute(const Dims& order) const { return ink::permute(*this, order); }
Tensor Tensor::expand(const Shape& s) const { return ink::expand(*this, s); }
Tensor Tensor::squeeze(int64_t dim) const { return ink::squeeze(*this, dim); }
Tensor Tensor::squeeze() const { return ink::squeeze(*this); }
Tensor Tensor::unsqueeze(int64_t dim) const { return ink::unsqueeze(*this, dim); }
Tensor Tensor::select(int64_t dim, int64_t i) const { return ink::select(*this, dim, i); }
Tensor Tensor::slice(int64_t dim, int64_t start, int64_t stop, int64_t step) const {
  return ink::slice(*this, dim, start, stop, step);
}
Tensor Tensor::narrow(int64_t dim, int64_t start, int64_t length) const {
  return ink::narrow(*this, dim, start, length);
}
Tensor Tensor::diagonal(int64_t offset, int64_t d1, int64_t d2) const { return ink::diagonal(*this, offset, d1, d2); }
Tensor Tensor::unfold(int64_t dim, int64_t size, int64_t step) const { return ink::unfold(*this, dim, size, step); }
Tensor Tensor::index(std::initializer_list<Index> where) const {
  return ink::index(*this, {where.begin(), where.size()});
}
std::vector<Tensor> Tensor::split(int64_t size, int64_t dim) const { return ink::split(*this, size, dim); }
std::vector<Tensor> Tensor::chunk(int64_t chunks, int64_t dim) const { return ink::chunk(*this, chunks, dim); }

// ---- elementwise
Tensor Tensor::exp() const { return ink::exp(*this); }
Tensor Tensor::log() const { return ink::log(*this); }
Tensor Tensor::sqrt() const { return ink::sqrt(*this); }
Tensor Tensor::abs() const { return ink::abs(*this); }
Tensor Tensor::sin() const { return ink::sin(*this); }
Tensor Tensor::cos() const { return ink::cos(*this); }
Tensor Tensor::tanh() const { return ink::tanh(*this); }
Tensor Tensor::sigmoid() const { return ink::sigmoid(*this); }
Tensor Tensor::relu() const { return ink::relu(*this); }
Tensor Tensor::square() const { return ink::square(*this); }
Tensor Tensor::pow(const Scalar& e) const { return ink::pow(*this, e); }
Tensor Tensor::pow(const Tensor& e) const { return ink::pow(*this, e); }
Tensor Tensor::clamp(const Scalar& low, const Scalar& high) const { return ink::clamp(*this, low, high); }
Tensor Tensor::masked_fill(const Tensor& mask, const Scalar& value) const {
  return ink::masked_fill(*this, mask, value);
}

// ---- reductions
Tensor Tensor::sum(const Dims& dims, bool keepdim) const { return ink::sum(*this, dims, keepdim); }
Tensor Tensor::mean(const Dims& dims, bool keepdim) const { return ink::mean(*this, dims, keepdim); }
Tensor Tensor::prod(const Dims& dims, bool keepdim) const { return ink::prod(*this, dims, keepdim); }
Tensor Tensor::max(const Dims& dims, bool keepdim) const { return ink::max(*this, dims, keepdim); }
Tensor Tensor::min(const Dims& dims, bool keepdim) const { return ink::min(*this, dims, keepdim); }
Tensor Tensor::var(const Dims& dims, double correction, bool keepdim) const {
  return ink::var(*this, dims, correction, keepdim);
}
Tensor Tensor::std(const Dims& dims, double correction, bool keepdim) const {
  return ink::std(*this, dims, correction, keepdim);
}
Tensor Tensor::norm(const Dims& dims, bool keepdim) const { return ink::norm(*this, dims, keepdim); }
Tensor Tensor::any(const Dims& dims, bool keepdim) const { return ink::any(*this, dims, keepdim); }
Tensor Tensor::all(const Dims& dims, bool keepdim) const { return ink::all(*this, dims, keepdim); }
Tensor Tensor::argmax(std::optional<int64_t> dim, bool keepdim) const { return ink::argmax(*this, dim, keepdim); }
Tensor Tensor::argmin(std::optional<int64_t> dim, bool keepdim) const { return ink::argmin(*this, dim, keepdim); }
Tensor Tensor::cumsum(int64_t dim) const { return ink::cumsum(*this, dim); }
Tensor Tensor::softmax(int64_t dim) const { return ink::softmax(*this, dim); }
Tensor Tensor::log_softmax(int64_t dim) const { return ink::log_softmax(*this, dim); }
Tensor Tensor::matmul(const Tensor& other) const { return ink::matmul(*this, other); }
Tensor Tensor::dot(const Tensor& other) const { return ink::dot(*this, other); }

// ---- operators
Tensor operator-(const Tensor& a) { return neg(a); }
Tensor operator!(const Tensor& a) { return logical_not(a); }
Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
Tensor operator+(const Tensor& a, Scalar b) { return add(a, b); }
Tensor operator-(const Tensor& a, Scalar b) { return sub(a, b); }
Tensor operator*(const Tensor& a, Scalar b) { return mul(a, b); }
Tensor operator/(const Tensor& a, Scalar b) { return div(a, b); }
Tensor operator+(Scalar a, const Tensor& b) { return add(b, a); }
Tensor operator-(Scalar a, const Tensor& b) { return sub(a, b); }
Tensor operator*(Scalar a, const Tensor& b) { return mul(b, a); }
Tensor operator/(Scalar a, const Tensor& b) { return div(a, b); }
Tensor operator==(const Tensor& a, const Tensor& b) { return eq(a, b); }
Tensor operator!=(const Tensor& a, const Tensor& b) { return ne(a, b); }
Tensor operator<(const Tensor& a, const Tensor& b) { return lt(a, b); }
Tensor operator<=(const Tensor& a, const Tensor& b) { return le(a, b); }
Tensor operator>(const Tensor& a, const Tensor& b) { return gt(a, b); }
Tensor operator>=(const Tensor& a, const Tensor& b) { return ge(a, b); }
Tensor operator==(const Tensor& a, Scalar b) { return eq(a, b); }
Tensor operator!=(const Tensor& a, Scalar b) { return ne(a, b); }
Tensor operator<(const Tensor& a, Scalar b) { return lt(a, b); }
Tensor operator<=(const Tensor& a, Scalar b) { return le(a, b); }
Tensor operator>(const Tensor& a, Scalar b) { return gt(a, b); }
Tensor operator>=(const Tensor& a, Scalar b) { return ge(a, b); }
Tensor operator&(const Tensor& a, const Tensor& b) { return logical_and(a, b); }
Tensor operator|(const Tensor& a, const Tensor& b) { return logical_or(a, b); }
Tensor operator^(const Tensor& a, const Tensor& b) { return logical_xor(a, b); }

}  // namespace ink
