// The graph-free layer: making tensors, views, copies, writes, checks, the list ops and reductions.
#include "tensor/raw/raw.h"

#include <fmt/format.h>

#include <cstring>

#include "tensor/runtime/cuda_backend.h"

namespace ink::raw {

const Kernels& kernels_of(const Tensor& x) { return kernels(x.device()); }

Array array(const Tensor& x) { return {x.raw_data(), x.dtype(), x.shape(), x.strides()}; }

static Tensor on_storage(Ref<Storage> storage, const Shape& shape, const Shape& strides, int64_t numel, DType dtype) {
  Ref<TensorImpl> impl(new TensorImpl);
  impl->storage = std::move(storage);
  impl->shape = shape;
  impl->strides = strides;
  impl->numel = numel;
  impl->dtype = dtype;
  return Tensor(std::move(impl));
}

Tensor empty(const Shape& shape, const Options& options) {
  int64_t n, bytes;
  if (!count_elements("empty", shape, n) || __builtin_mul_overflow(n, size_of(options.dtype), &bytes))
    throw MemoryError(fmt::format("empty: more elements than fit memory; got {}", shape.str()));
  return on_storage(Ref<Storage>(new Storage(bytes, options.device)), shape, contiguous_strides(shape), n,
                    options.dtype);
}

static void check_fits(const char* op, const Scalar& value, DType t) {
  if (!fits(value, t))
    throw ValueError(fmt::format("{}: the number does not fit the dtype; got {} for {}; hint: choose a wider dtype", op,
                                 value.kind() == kFloat ? fmt::format("{}", value.as_double())
                                                        : fmt::format("{}", value.to<int64_t>()),
                                 name_of(t)));
}

Tensor full(const Shape& shape, const Scalar& value, const Options& options) {
  check_fits("full", value, options.dtype);
  Tensor t = empty(shape, options);
  if (t.numel() > 0) kernels_of(t).fill(array(t), value);
  return t;
}
Tensor zeros(const Shape& shape, const Options& options) { return full(shape, 0, options); }

Tensor from_blob(void* data, const Shape& shape, const Options& options, std::shared_ptr<void> owner) {
  const int64_t n = checked_numel("from_blob", shape), bytes = checked_product("from_blob", n, size_of(options.dtype));
  return on_storage(Ref<Storage>(new Storage(data, bytes, options.device, std::move(owner))), shape,
                    contiguous_strides(shape), n, options.dtype);
}

static bool strides_contiguous(const Shape& shape, const Shape& strides) {
  int64_t step = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return false;
    step = int64_t(uint64_t(step) * uint64_t(shape[i]));  // wraps only where a size further out is 0
  }
  return true;
}

static Tensor view_of(const char* op, const Tensor& x, const Shape& shape, const Shape& strides, int64_t offset) {
  Tensor y = on_storage(x.impl()->storage, shape, strides, checked_numel(op, shape), x.dtype());
  y.impl()->offset = offset;
  y.impl()->contiguous = strides_contiguous(shape, strides);
  y.impl()->is_view = true;
  return y;
}
Tensor as_strided(const Tensor& x, const Shape& shape, const Shape& strides, int64_t offset) {
  return view_of("view", x, shape, strides, offset);
}

Tensor alias(const Tensor& x) {
  Tensor y = as_strided(x, x.shape(), x.strides(), x.storage_offset());
  y.impl()->is_view = x.impl()->is_view;
  return y;
}

Tensor expand(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  Shape strides = Shape::filled(shape.size(), 0);
  int shift = shape.size() - x.dim();
  for (int64_t n : shape)
    if (n < 0)
      throw ShapeError(fmt::format("expand: negative size; got {} for {}; hint: -1 keeps a size the tensor has",
                                   shape.str(), x.shape().str()));
  for (int i = 0; i < x.dim(); ++i) {
    bool fits = shift >= 0 && (x.shape()[i] == shape[i + shift] || x.shape()[i] == 1);
    if (!fits)
      throw ShapeError(fmt::format("expand: sizes do not fit; got {}; cannot become {}", x.shape().str(), shape.str()));
    if (x.shape()[i] == shape[i + shift]) strides[i + shift] = x.strides()[i];
  }
  if (shift < 0)
    throw ShapeError(
        fmt::format("expand: fewer dims than the tensor; got {}; cannot become {}", x.shape().str(), shape.str()));
  return view_of("expand", x, shape, strides, x.storage_offset());
}

// The strides that view x as `shape`, if there are any: neighbouring dims of x that can be walked as one are merged,
// and each merged run must be cut exactly by the new sizes.
static bool view_strides(const Tensor& x, const Shape& shape, Shape& strides) {
  strides = contiguous_strides(shape);
  if (x.numel() == 0 || x.is_contiguous()) return true;
  int new_dim = shape.size() - 1;
  int64_t run = 1, run_new = 1, base = x.strides().empty() ? 1 : x.strides().back();
  for (int d = x.dim() - 1; d >= 0; --d) {
    run *= x.shape()[d];
    bool run_ends = d == 0 || (x.shape()[d - 1] != 1 && x.strides()[d - 1] != run * base);
    if (!run_ends) continue;
    while (new_dim >= 0 && (run_new < run || shape[new_dim] == 1)) {
      strides[new_dim] = run_new * base;
      run_new *= shape[new_dim--];
    }
    if (run_new != run) return false;
    if (d > 0) {
      base = x.strides()[d - 1];
      run = run_new = 1;
    }
  }
  return new_dim == -1;
}

Tensor reshape(const Tensor& x, const Shape& shape) {
  Shape strides;
  if (view_strides(x, shape, strides)) return as_strided(x, shape, strides, x.storage_offset());
  Tensor y = contiguous(x);
  return as_strided(y, shape, contiguous_strides(shape), y.storage_offset());
}

Tensor permute(const Tensor& x, const Shape& order) {
  Shape shape, strides;
  for (int64_t d : order) {
    shape.push_back(x.shape()[int(d)]);
    strides.push_back(x.strides()[int(d)]);
  }
  return as_strided(x, shape, strides, x.storage_offset());
}

Tensor clone(const Tensor& x) {
  Tensor y = empty(x.shape(), x.options());
  if (x.numel() > 0) kernels_of(x).copy(array(y), array(x));
  return y;
}
Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor y = empty(x.shape(), {dtype, x.device()});
  if (x.numel() > 0) kernels_of(x).copy(array(y), array(x));
  return y;
}

Tensor to_device(const Tensor& x, Device device, bool non_blocking) {
  if (x.device() == device) return x;
  const CudaBackend& cuda = cuda_backend(device.is_cuda() ? device : x.device());
  const bool pinned = non_blocking && device.is_cpu();
  Tensor from = contiguous(x), y = pinned ? cuda.pinned(x.shape(), x.dtype()) : empty(x.shape(), {x.dtype(), device});
  if (x.numel() > 0) cuda.copy(y.raw_data(), device, from.raw_data(), x.device(), x.nbytes(), non_blocking);
  return y;
}

void bump_version(const Tensor& x, const char* op) {
  Storage& s = *x.impl()->storage;
  ++s.version;
  s.last_writer = op;
}

// A write to elements that share memory would happen several times.
static void check_target(const char* op, const Tensor& target) {
  for (int d = 0; d < target.dim(); ++d)
    if (target.strides()[d] == 0 && target.shape()[d] > 1)
      throw ShapeError(fmt::format(
          "{}: several elements of the target share memory; got shape {} with strides {}; hint: clone() it first", op,
          target.shape().str(), target.strides().str()));
}
// Kernels read and write element by element: a source that shares the target's memory, but not element for element, is
// copied first.
static Tensor apart(const Tensor& source, const Tensor& target) {
  if (!source.shares_storage(target)) return source;
  bool same = source.shape() == target.shape() && source.strides() == target.strides() &&
              source.storage_offset() == target.storage_offset();
  return same ? source : clone(source);
}

void copy_into(const Tensor& target, const Tensor& source) {
  common_device("copy_", {&target, &source});
  check_target("copy_", target);
  Tensor from = expand(apart(source, target), target.shape());
  bump_version(target, "copy_");
  if (target.numel() > 0) kernels_of(target).copy(array(target), array(from));
}
void fill(const Tensor& target, const Scalar& value) {
  check_fits("fill_", value, target.dtype());
  bump_version(target, "fill_");
  if (target.numel() > 0) kernels_of(target).fill(array(target), value);
}
void add_into(const Tensor& target, const Tensor& source) { binary_into("add_", fn::Add{}, target, source); }

Device common_device(const char* op, std::initializer_list<const Tensor*> tensors) {
  const Tensor* first = nullptr;
  for (const Tensor* t : tensors) {
    if (!t->defined()) continue;
    if (!first) first = t;
    if (!(t->device() == first->device()))
      throw DeviceError(fmt::format("{}: operands on different devices; got {} and {}; hint: move one with to(device)",
                                    op, first->device().str(), t->device().str()));
  }
  return first ? first->device() : Device{};
}

static std::string domain_list(unsigned domain) {
  std::string s;
  for (int i = 0; i < kNumDTypes; ++i)
    if (domain_of(DType(i)) & domain) s += (s.empty() ? "" : ", ") + std::string(name_of(DType(i)));
  return s;
}
void check_domain(const char* op, DType dtype, unsigned domain) {
  if (!(domain_of(dtype) & domain))
    throw DTypeError(
        fmt::format("{}: dtype not supported; got {}; expected one of {}", op, name_of(dtype), domain_list(domain)));
}
DType computed_in(const char* op, DType t, unsigned domain) {
  if (is_integral(t) && !(domain & domain_of(t)) && (domain & kFloat))
    return domain & kInt && t == DType::boolean ? DType::i64 : DType::f32;
  check_domain(op, t, domain);
  return t;
}

static DType result_dtype(DType t, Result result) {
  switch (result) {
    case Result::boolean:
      return DType::boolean;
    case Result::real:
      return real_of(t);
    case Result::complex:
      return complex_of(t);
    default:
      return t;
  }
}

Tensor unary(const char* name, int op, const void* functor, unsigned domain, Result result, const Tensor& x) {
  DType t = computed_in(name, x.dtype(), domain);
  Tensor a = cast(x, t);
  Tensor out = empty(x.shape(), {result_dtype(t, result), x.device()});
  if (out.numel() > 0) kernels_of(x).unary(op, functor, array(out), array(a));
  return out;
}

// A 0-dim tensor counts like a number: it decides the dtype only if its kind is the higher one.
static DType common_dtype(const Tensor& a, const Tensor& b) {
  if (a.dtype() == b.dtype()) return a.dtype();
  if ((a.dim() == 0) != (b.dim() == 0)) {
    const DType many = a.dim() == 0 ? b.dtype() : a.dtype(), one = a.dim() == 0 ? a.dtype() : b.dtype();
    if (domain_of(one) <= domain_of(many)) return many;
  }
  return promote(a.dtype(), b.dtype());
}

Tensor binary(const char* name, int op, const void* functor, unsigned domain, Result result, const Tensor& a,
              const Tensor& b) {
  Device device = a.device();
  if (!(device == b.device())) common_device(name, {&a, &b});
  const DType t = computed_in(name, common_dtype(a, b), domain);
  const Tensor x = cast(a, t), y = cast(b, t);
  bool same = x.shape() == y.shape();
  Tensor out =
      empty(same ? x.shape() : broadcast_shapes(name, x.shape(), y.shape()), {result_dtype(t, result), device});
  if (out.numel() == 0) return out;
  if (same)
    kernels_of(out).binary(op, functor, array(out), array(x), array(y));
  else
    kernels_of(out).binary(op, functor, array(out), array(expand(x, out.shape())), array(expand(y, out.shape())));
  return out;
}

void binary_into(const char* name, int op, const void* functor, const Tensor& target, const Tensor& other) {
  common_device(name, {&target, &other});
  if (domain_of(other.dtype()) > domain_of(target.dtype()))
    throw DTypeError(fmt::format("{}: the result does not fit the target; got {} into {}", name, name_of(other.dtype()),
                                 name_of(target.dtype())));
  check_target(name, target);
  Tensor b = expand(apart(cast(other, target.dtype()), target), target.shape());
  bump_version(target, name);
  if (target.numel() > 0) kernels_of(target).binary(op, functor, array(target), array(target), array(b));
}
void unary_into(const char* name, int op, const void* functor, const Tensor& target) {
  check_target(name, target);
  bump_version(target, name);
  if (target.numel() > 0) kernels_of(target).unary(op, functor, array(target), array(target));
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  Device device = common_device("where", {&condition, &a, &b});
  check_domain("where", condition.dtype(), kBool);
  const DType t = common_dtype(a, b);
  Shape shape = broadcast_shapes("where", condition.shape(), broadcast_shapes("where", a.shape(), b.shape()));
  Tensor out = empty(shape, {t, device});
  if (out.numel() > 0)
    kernels_of(out).where(array(out), array(expand(condition, shape)), array(expand(cast(a, t), shape)),
                          array(expand(cast(b, t), shape)));
  return out;
}

uint32_t dim_mask(const char* op, const Dims& dims, int ndim) {
  if (dims.empty()) return (1u << ndim) - 1;
  uint32_t mask = 0;
  for (int64_t d : dims) {
    uint32_t bit = 1u << wrap_dim(op, d, ndim);
    if (mask & bit) throw ValueError(fmt::format("{}: a dim is named twice; got {}", op, dims.str()));
    mask |= bit;
  }
  return ndim == 0 ? 0 : mask;
}

Tensor reduce(const char* name, int op, unsigned domain, bool has_identity, const Tensor& x, const Dims& dims,
              bool keepdim) {
  check_domain(name, x.dtype(), domain | kBool);
  uint32_t mask = dim_mask(name, dims, x.dim());
  Shape kept, squeezed;
  for (int d = 0; d < x.dim(); ++d) {
    bool reduced = mask >> d & 1;
    if (reduced && x.shape()[d] == 0 && !has_identity)
      throw ShapeError(fmt::format("{}: nothing to reduce in dim {}; got shape {}; expected at least one element", name,
                                   d, x.shape().str()));
    kept.push_back(reduced ? 1 : x.shape()[d]);
    if (!reduced) squeezed.push_back(x.shape()[d]);
  }
  bool counts = op == index_of<fn::CountNonzero, ReduceOps>;
  bool widens = has_identity && is_integral(x.dtype());
  Tensor in = widens && !counts ? cast(x, DType::i64) : x;
  Tensor out = empty(kept, {widens || counts ? DType::i64 : x.dtype(), x.device()});
  if (out.numel() > 0) {
    Array o = array(out);
    for (int d = 0; d < x.dim(); ++d)
      if (mask >> d & 1) o.strides[d] = 0;
    kernels_of(x).reduce(op, o, array(in));
  }
  return keepdim ? out : as_strided(out, squeezed, contiguous_strides(squeezed), 0);
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  int lead = x.dim() - shape.size();
  bool fits = lead >= 0;
  for (int d = 0; fits && d < shape.size(); ++d) fits = shape[d] == 1 || shape[d] == x.shape()[d + lead];
  if (!fits)
    throw ShapeError(fmt::format("sum_to: {} was not broadcast from that shape; got {}", x.shape().str(), shape.str()));
  Dims dims;
  for (int d = 0; d < x.dim(); ++d)
    if (d < lead || (shape[d - lead] == 1 && x.shape()[d] != 1)) dims.push_back(d);
  Tensor y = dims.empty() ? x : reduce<fn::Sum>("sum", x, dims, true);
  return as_strided(y, shape, contiguous_strides(shape), y.storage_offset());
}

Lines lines_of(const Shape& shape, int dim) {
  if (shape.empty()) return {1, 1, 1};
  return {Shape(shape.begin(), shape.begin() + dim).numel(), shape[dim],
          Shape(shape.begin() + dim + 1, shape.end()).numel()};
}

}  // namespace ink::raw
