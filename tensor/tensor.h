// Tensor: a handle to a strided n-dimensional array. Copies share; `clone()` copies the elements.
//
// The members in the first half need no graph. The methods below them are what users chain; each is a one-line call of
// the free function of the same name in autograd/ops.h, where it is documented.
#pragma once
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tensor/error.h"
#include "tensor/indexing.h"
#include "tensor/math/scalar.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace ink {

// What autograd hangs on a tensor; tensor/ only stores it. Non-null exactly if the tensor requires a gradient.
struct GraphSlot : RefCounted {
  virtual ~GraphSlot() = default;
};

// dtype and device of a tensor to be made: `zeros({2, 3}, f64)`, `zeros({2}, {f32, Device::cuda()})`.
struct Options {
  DType dtype = DType::f32;
  Device device = default_device();
  Options() = default;
  Options(DType t) : dtype(t) {}
  Options(DType t, Device d) : dtype(t), device(d) {}
  Options(Device d) : device(d) {}
};

struct TensorImpl : RefCounted {
  Ref<Storage> storage;
  Ref<GraphSlot> graph;
  Shape shape, strides;  // strides in elements
  int64_t offset = 0;    // in elements
  int64_t numel = 1;
  DType dtype = DType::f32;
  bool contiguous = true;
  bool is_view = false;           // made by a view op, shares the storage of another tensor
  uint32_t recorded_version = 0;  // storage version when autograd recorded this tensor's value
};

class Tensor {
 public:
  Tensor() = default;  // undefined: no elements, no shape
  Tensor(const Tensor&) = default;
  Tensor(Tensor&&) noexcept = default;
  // Another tensor for this handle; no element is written. Not for a temporary: `x[0] = y` would be lost, x[0].copy_(y)
  // writes.
  Tensor& operator=(const Tensor&) & = default;
  Tensor& operator=(Tensor&&) & noexcept = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}
  // A 0-dim tensor of a number: f32, i64, bool or c64 by the number's kind.
  explicit Tensor(Scalar value);

  bool defined() const { return bool(impl_); }
  const Shape& shape() const { return checked().shape; }
  const Shape& sizes() const { return shape(); }  // libtorch's name
  const Shape& strides() const { return checked().strides; }
  int64_t size(int64_t dim) const;  // negative dims count from the end
  int64_t stride(int64_t dim) const;
  int dim() const { return checked().shape.size(); }
  int64_t numel() const { return checked().numel; }
  DType dtype() const { return checked().dtype; }
  Device device() const { return checked().storage->device; }
  Options options() const { return {dtype(), device()}; }
  bool is_contiguous() const { return checked().contiguous; }
  int64_t storage_offset() const { return checked().offset; }
  int64_t nbytes() const { return checked().numel * size_of(impl_->dtype); }
  bool is_same(const Tensor& o) const { return impl_.ptr() == o.impl_.ptr(); }
  bool shares_storage(const Tensor& o) const { return checked().storage.ptr() == o.checked().storage.ptr(); }

  // Pointer to the first element. The typed form checks the dtype (DTypeError) and that the memory is the CPU's.
  void* raw_data() const { return static_cast<char*>(checked().storage->data) + impl_->offset * size_of(impl_->dtype); }
  template <class T> T* data() const {
    check_access(dtype_of<T>);
    return static_cast<T*>(raw_data());
  }
  // The elements of a contiguous tensor.
  template <class T> std::span<T> span() const {
    check_contiguous();
    return {data<T>(), size_t(numel())};
  }
  // The value of a tensor of one element, converted to T.
  template <class T = double> T item() const { return item_scalar().to<T>(); }
  Scalar item_scalar() const;
  template <class T> std::vector<T> to_vector() const;  // all elements in row-major order, converted to T
  std::string str(int precision = 4) const;             // as torch prints

  TensorImpl* impl() const { return impl_.ptr(); }

  // ---- autograd
  bool requires_grad() const { return impl_ && impl_->graph; }
  Tensor& requires_grad_(bool on = true);  // GradError for a non-leaf or a dtype without gradients
  bool is_leaf() const;
  Tensor grad() const;  // undefined if none has arrived
  void set_grad(const Tensor& g) const;
  void zero_grad() const;    // forgets the gradient
  Tensor detach() const;     // the same elements without history
  void retain_grad() const;  // keep .grad of a non-leaf
  // Gradients of this tensor (one element, or weighted by `gradient`) are added to the .grad of every leaf it came
  // from.
  void backward(const Tensor& gradient = {}, bool retain_graph = false, bool create_graph = false) const;

  // ---- conversions and copies
  Tensor to(DType dtype) const;
  // non_blocking: from or into pinned memory, without waiting
  Tensor to(Device device, bool non_blocking = false) const;
  Tensor to(const Options& options) const;
  Tensor contiguous() const;
  Tensor clone() const;

  // ---- in place; see docs/map.md for what autograd allows
  Tensor& add_(const Tensor& other, const Scalar& alpha = 1);
  Tensor& sub_(const Tensor& other);
  Tensor& mul_(const Tensor& other);
  Tensor& div_(const Tensor& other);
  Tensor& add_(const Scalar& other);
  Tensor& sub_(const Scalar& other);
  Tensor& mul_(const Scalar& other);
  Tensor& div_(const Scalar& other);
  Tensor& fill_(const Scalar& value);
  Tensor& zero_() { return fill_(0); }
  Tensor& copy_(const Tensor& source);
  Tensor& uniform_(double low = 0, double high = 1);
  Tensor& normal_(double mean = 0, double std = 1);
  Tensor& operator+=(const Tensor& o) { return add_(o); }
  Tensor& operator-=(const Tensor& o) { return sub_(o); }
  Tensor& operator*=(const Tensor& o) { return mul_(o); }
  Tensor& operator/=(const Tensor& o) { return div_(o); }
  Tensor& operator+=(Scalar o) { return add_(o); }
  Tensor& operator-=(Scalar o) { return sub_(o); }
  Tensor& operator*=(Scalar o) { return mul_(o); }
  Tensor& operator/=(Scalar o) { return div_(o); }

  // ---- shape
  Tensor reshape(const Shape& shape) const;
  Tensor view(const Shape& shape) const;
  Tensor flatten(int64_t first = 0, int64_t last = -1) const;
  Tensor transpose(int64_t a, int64_t b) const;
  Tensor t() const;
  Tensor permute(const Dims& order) const;
  Tensor expand(const Shape& shape) const;
  Tensor expand_as(const Tensor& other) const { return expand(other.shape()); }
  Tensor squeeze(int64_t dim) const;
  Tensor squeeze() const;
  Tensor unsqueeze(int64_t dim) const;
  Tensor select(int64_t dim, int64_t index) const;
  Tensor slice(int64_t dim, int64_t start, int64_t stop, int64_t step = 1) const;
  Tensor narrow(int64_t dim, int64_t start, int64_t length) const;
  Tensor diagonal(int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1) const;
  Tensor unfold(int64_t dim, int64_t size, int64_t step) const;
  Tensor index(std::initializer_list<Index> where) const;
  Tensor& index_put_(std::initializer_list<Index> where, const Tensor& value, bool accumulate = false);
  Tensor operator[](int64_t i) const { return select(0, i); }
  std::vector<Tensor> split(int64_t size, int64_t dim = 0) const;
  std::vector<Tensor> chunk(int64_t chunks, int64_t dim = 0) const;

  // ---- elementwise
  Tensor exp() const;
  Tensor log() const;
  Tensor sqrt() const;
  Tensor abs() const;
  Tensor sin() const;
  Tensor cos() const;
  Tensor tanh() const;
  Tensor sigmoid() const;
  Tensor relu() const;
  Tensor square() const;
  Tensor pow(const Scalar& exponent) const;
  Tensor pow(const Tensor& exponent) const;
  Tensor clamp(const Scalar& low, const Scalar& high) const;
  Tensor masked_fill(const Tensor& mask, const Scalar& value) const;

  // ---- comparisons with a tensor or a number: the operators, as methods
  template <class T> Tensor eq(const T& other) const { return *this == other; }
  template <class T> Tensor ne(const T& other) const { return *this != other; }
  template <class T> Tensor lt(const T& other) const { return *this < other; }
  template <class T> Tensor le(const T& other) const { return *this <= other; }
  template <class T> Tensor gt(const T& other) const { return *this > other; }
  template <class T> Tensor ge(const T& other) const { return *this >= other; }

  // ---- reductions; no dims means all
  Tensor sum(const Dims& dims = {}, bool keepdim = false) const;
  Tensor mean(const Dims& dims = {}, bool keepdim = false) const;
  Tensor prod(const Dims& dims = {}, bool keepdim = false) const;
  Tensor max(const Dims& dims = {}, bool keepdim = false) const;
  Tensor min(const Dims& dims = {}, bool keepdim = false) const;
  Tensor var(const Dims& dims = {}, double correction = 1, bool keepdim = false) const;
  Tensor std(const Dims& dims = {}, double correction = 1, bool keepdim = false) const;
  Tensor norm(const Dims& dims = {}, bool keepdim = false) const;
  Tensor any(const Dims& dims = {}, bool keepdim = false) const;
  Tensor all(const Dims& dims = {}, bool keepdim = false) const;
  Tensor argmax(std::optional<int64_t> dim = {}, bool keepdim = false) const;
  Tensor argmin(std::optional<int64_t> dim = {}, bool keepdim = false) const;
  Tensor cumsum(int64_t dim) const;
  Tensor softmax(int64_t dim) const;
  Tensor log_softmax(int64_t dim) const;

  // ---- products
  Tensor matmul(const Tensor& other) const;
  Tensor mm(const Tensor& other) const { return matmul(other); }
  Tensor dot(const Tensor& other) const;

 private:
  [[noreturn]] static void throw_undefined();
  const TensorImpl& checked() const {  // ValueError for an undefined tensor
    if (!impl_) [[unlikely]]
      throw_undefined();
    return *impl_;
  }
  void check_access(DType wanted) const;
  void check_contiguous() const;
  Ref<TensorImpl> impl_;
};

// A state dict, or the contents of a file.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Operators broadcast and promote; comparisons give bool tensors.
Tensor operator-(const Tensor& a);
Tensor operator!(const Tensor& a);
Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, Scalar b);
Tensor operator-(const Tensor& a, Scalar b);
Tensor operator*(const Tensor& a, Scalar b);
Tensor operator/(const Tensor& a, Scalar b);
Tensor operator+(Scalar a, const Tensor& b);
Tensor operator-(Scalar a, const Tensor& b);
Tensor operator*(Scalar a, const Tensor& b);
Tensor operator/(Scalar a, const Tensor& b);
Tensor operator==(const Tensor& a, const Tensor& b);
Tensor operator!=(const Tensor& a, const Tensor& b);
Tensor operator<(const Tensor& a, const Tensor& b);
Tensor operator<=(const Tensor& a, const Tensor& b);
Tensor operator>(const Tensor& a, const Tensor& b);
Tensor operator>=(const Tensor& a, const Tensor& b);
Tensor operator==(const Tensor& a, Scalar b);
Tensor operator!=(const Tensor& a, Scalar b);
Tensor operator<(const Tensor& a, Scalar b);
Tensor operator<=(const Tensor& a, Scalar b);
Tensor operator>(const Tensor& a, Scalar b);
Tensor operator>=(const Tensor& a, Scalar b);
Tensor operator&(const Tensor& a, const Tensor& b);  // logical and of bool tensors
Tensor operator|(const Tensor& a, const Tensor& b);
Tensor operator^(const Tensor& a, const Tensor& b);

// Prints like torch; include <ostream> to use it.
template <class Stream> Stream& operator<<(Stream& s, const Tensor& t) {
  s << t.str();
  return s;
}

}  // namespace ink
