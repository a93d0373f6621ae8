// Matrix products by cuBLASLt. How a product is done, its descriptors and the algorithm that the library's heuristic
// picks, is worked out once per problem and kept: asking costs more than a small product.
#include "tensor/cuda/product/gemm.h"

#if !INK_CUDA_SIM
#include <cublasLt.h>
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "tensor/cuda.h"
#include "tensor/cuda/host/library.h"
#include "tensor/cuda/host/scratch.h"
#include "tensor/error.h"
#include "tensor/fork.h"
#include "tensor/runtime/gemm.h"

namespace ink::cuda {
namespace {

struct Lt {  // the functions of cuBLASLt
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulDescCreate) product_create;
  decltype(&cublasLtMatmulDescDestroy) product_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) product_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatrixLayoutSetAttribute) layout_set;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;

  Lt() {
    const Library l("libcublasLt", {13, 12});
    l.find(create, "cublasLtCreate");
    l.find(status_string, "cublasLtGetStatusString");
    l.find(matmul, "cublasLtMatmul");
    l.find(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    l.find(product_create, "cublasLtMatmulDescCreate");
    l.find(product_destroy, "cublasLtMatmulDescDestroy");
    l.find(product_set, "cublasLtMatmulDescSetAttribute");
    l.find(layout_create, "cublasLtMatrixLayoutCreate");
    l.find(layout_destroy, "cublasLtMatrixLayoutDestroy");
    l.find(layout_set, "cublasLtMatrixLayoutSetAttribute");
    l.find(preference_create, "cublasLtMatmulPreferenceCreate");
    l.find(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    l.find(preference_set, "cublasLtMatmulPreferenceSetAttribute");
  }
};
const Lt& lt() {
  static const Lt* all = new Lt;  // process state: never destroyed
  return *all;
}

void check(cublasStatus_t s, const char* what) {
  if (s != CUBLAS_STATUS_SUCCESS) throw CudaError(fmt::format("gemm: {}: {}", what, lt().status_string(s)));
}

struct Types {
  cudaDataType_t element, scale;
  cublasComputeType_t compute;
};
Types types_of(DType t, bool tf32) {
  const cublasComputeType_t single = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  switch (t) {
    case DType::f32:
      return {CUDA_R_32F, CUDA_R_32F, single};
    case DType::f64:
      return {CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
    case DType::c64:
      return {CUDA_C_32F, CUDA_C_32F, single};
    case DType::c128:
      return {CUDA_C_64F, CUDA_C_64F, CUBLAS_COMPUTE_64F};
    case DType::f16:
      return {CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case DType::bf16:
      return {CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    default:
      throw DTypeError(
          fmt::format("gemm: no product for this dtype; got {}; expected a float or complex one", name_of(t)));
  }
}

// All that decides how a product is done, in numbers: its bytes are the key.
struct Problem {
  int64_t dtype, tf32, epilogue, batch, m, n, k, a_transpose, a_ld, a_batch, b_transpose, b_ld, b_batch, c_ld, c_batch;
  int64_t a_align, b_align, c_align, bias_align;  // 0: no bias

  bool operator==(const Problem&) const = default;
  struct Hash {
    size_t operator()(const Problem& p) const {
      return std::hash<std::string_view>()({reinterpret_cast<const char*>(&p), sizeof p});
    }
  };
};
static_assert(std::has_unique_object_representations_v<Problem>);

int64_t alignment(const void* p) {  // at most 256 bytes, the most that an algorithm asks for
  const uintptr_t bits = reinterpret_cast<uintptr_t>(p) | 256;
  return int64_t(bits & (~bits + 1));
}

Problem problem_of(const GemmArgs& g) {
  const Layout a = layout("a", g.m, g.k, g.a_row, g.a_col), b = layout("b", g.k, g.n, g.b_row, g.b_col);
  const Layout c = layout("c", g.m, g.n, g.c_row, 1);
  const bool tf32 = cuda_options().tf32 && (g.dtype == DType::f32 || g.dtype == DType::c64);
  return {.dtype = int64_t(g.dtype),
          .tf32 = tf32,
          .epilogue = int64_t(g.epilogue),
          .batch = g.batch,
          .m = g.m,
          .n = g.n,
          .k = g.k,
          .a_transpose = a.transpose,
          .a_ld = a.ld,
          .a_batch = g.a_batch,
          .b_transpose = b.transpose,
          .b_ld = b.ld,
          .b_batch = g.b_batch,
          .c_ld = c.ld,
          .c_batch = g.c_batch,
          .a_align = alignment(g.a),
          .b_align = alignment(g.b),
          .c_align = alignment(g.c),
          .bias_align = g.bias ? alignment(g.bias) : 0};
}

struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  bool found = false;  // else cuBLASLt cannot do it

  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    for (cublasLtMatrixLayout_t l : {a, b, c})
      if (l) lt().layout_destroy(l);
    if (product) lt().product_destroy(product);
  }
};

constexpr size_t kWorkspace = size_t(32) << 20;
constexpr size_t kMostPlans = 4096;

struct Products {  // of one device
  ForkMutex mutex{ForkOrder::cache};
  cublasLtHandle_t handle = nullptr;
  void* workspace = nullptr;  // one for all: the products of a device run one after another
  std::unordered_map<Problem, Plan, Problem::Hash> plans;
};
Products& products(int device) {
  static Products* all = new Products[16];  // process state: never destroyed
  return all[device];
}

template <class T> void set(cublasLtMatmulDesc_t p, cublasLtMatmulDescAttributes_t attribute, T value) {
  check(lt().product_set(p, attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
}
template <class T> void set(cublasLtMatrixLayout_t l, cublasLtMatrixLayoutAttribute_t attribute, T value) {
  check(lt().layout_set(l, attribute, &value, sizeof value), "cublasLtMatrixLayoutSetAttribute");
}
template <class T> void set(cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t attribute, T value) {
  check(lt().preference_set(p, attribute, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
}

// A matrix [rows, cols] of ours as a matrix stored by columns: transposed if ours is stored by rows.
void describe(cublasLtMatrixLayout_t& l, cudaDataType_t type, int64_t transpose, int64_t rows, int64_t cols, int64_t ld,
              int64_t count, int64_t step) {
  if (transpose == 'N') std::swap(rows, cols);
  check(lt().layout_create(&l, type, uint64_t(rows), uint64_t(cols), ld), "cublasLtMatrixLayoutCreate");
  if (count == 1) return;
  set(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, int32_t(count));
  set(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, step);
}

uint32_t epilogue_of(const Problem& p) {
  const bool bias = p.bias_align != 0;
  switch (Epilogue(p.epilogue)) {
    case Epilogue::relu:
      return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
    case Epilogue::gelu_tanh:
      return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    default:
      return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  }
}

// cuBLASLt stores matrices by columns, and our C by rows is its C^T by columns: C^T = B^T A^T (see
// tensor/runtime/gemm.cpp). So its first factor is our b, and what is stored by rows here needs no transposition there.
// Its bias goes down the columns of C^T: along our rows. The bias pointer must be set before: the heuristic looks at
// its alignment.
void plan(Products& d, Plan& to, const Problem& p, const void* bias) {
  const Types t = types_of(DType(p.dtype), p.tf32 != 0);
  check(lt().product_create(&to.product, t.compute, t.scale), "cublasLtMatmulDescCreate");
  set(to.product, CUBLASLT_MATMUL_DESC_TRANSA, int32_t(p.b_transpose == 'N' ? CUBLAS_OP_N : CUBLAS_OP_T));
  set(to.product, CUBLASLT_MATMUL_DESC_TRANSB, int32_t(p.a_transpose == 'N' ? CUBLAS_OP_N : CUBLAS_OP_T));
  set(to.product, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
  if (bias) set(to.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  describe(to.a, t.element, p.a_transpose, p.m, p.k, p.a_ld, p.batch, p.a_batch);
  describe(to.b, t.element, p.b_transpose, p.k, p.n, p.b_ld, p.batch, p.b_batch);
  describe(to.c, t.element, 'N', p.m, p.n, p.c_ld, p.batch, p.c_batch);

  cublasLtMatmulPreference_t preference = nullptr;
  check(lt().preference_create(&preference), "cublasLtMatmulPreferenceCreate");
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(kWorkspace));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32_t(p.b_align));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, uint32_t(p.a_align));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, uint32_t(p.c_align));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, uint32_t(p.c_align));
  cublasLtMatmulHeuristicResult_t best{};
  int count = 0;
  const cublasStatus_t s = lt().heuristic(d.handle, to.product, to.b, to.a, to.c, to.c, preference, 1, &best, &count);
  lt().preference_destroy(preference);
  if (s != CUBLAS_STATUS_NOT_SUPPORTED && s != CUBLAS_STATUS_INVALID_VALUE) check(s, "cublasLtMatmulAlgoGetHeuristic");
  to.found = s == CUBLAS_STATUS_SUCCESS && count > 0 && best.state == CUBLAS_STATUS_SUCCESS;
  to.algorithm = best.algo;
}

}  // namespace

bool gemm_lt(const GemmArgs& g) {
  const Problem p = problem_of(g);
  const int device = current().index;
  Products& d = products(device);
  std::lock_guard lock(d.mutex);
  if (!d.handle) {
    const OutsideCapture guard;
    check(lt().create(&d.handle), "cublasLtCreate");
    d.workspace = allocator(device).allocate(kWorkspace);
  }
  auto found = d.plans.find(p);
  if (found == d.plans.end()) {
    const OutsideCapture guard;
    if (d.plans.size() >= kMostPlans) d.plans.clear();
    found = d.plans.try_emplace(p).first;
    plan(d, found->second, p, g.bias);
  }
  Plan& how = found->second;
  if (!how.found) return false;
  if (g.bias) set(how.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, g.bias);
  // Factors have the type of the sums, complex ones an imaginary part: 0.
  const bool wide = g.dtype == DType::f64 || g.dtype == DType::c128;
  const double wide_factors[2][2] = {{g.alpha, 0}, {g.beta, 0}};
  const float factors[2][2] = {{float(g.alpha), 0}, {float(g.beta), 0}};
  const void* alpha = wide ? static_cast<const void*>(wide_factors[0]) : factors[0];
  const void* beta = wide ? static_cast<const void*>(wide_factors[1]) : factors[1];
  check(lt().matmul(d.handle, how.product, alpha, g.b, how.b, g.a, how.a, beta, g.c, how.c, g.c, how.c, &how.algorithm,
                    d.workspace, kWorkspace, stream()),
        "cublasLtMatmul");
  return true;
}

}  // namespace ink::cuda
#endif
