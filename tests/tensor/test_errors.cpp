// docs/errors.md shows what errors say; here they are caused, and the page must hold each message word for word.
#include <fstream>
#include <sstream>
#include <vector>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "autograd/ops.h"
#include "nn/layers/linear.h"
#include "nn/sequential.h"
#include "optim/adam.h"
#include "optim/ema.h"
#include "optim/sgd.h"
#include "tensor/capture.h"
#include "tensor/cuda.h"
#include "tensor/io.h"
#include "tests/catch.h"

using namespace ink;

namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

template <class E, class F> std::string message(F f) {
  try {
    f();
  } catch (const E& e) { return e.what(); } catch (const std::exception& e) {
    return std::string("another error: ") + e.what();
  }
  return "nothing was thrown";
}

struct Example {
  const char* type;
  std::string message;
};

std::vector<Example> examples() {
  std::vector<Example> all;
  Tensor a = zeros({2, 3}), b = zeros({4, 5});
  auto leaf = [] { return ones({3}).requires_grad_(); };
  all.push_back({"ShapeError", message<ShapeError>([&] { a + b; })});
  all.push_back({"ShapeError", message<ShapeError>([&] { matmul(a, b); })});
  all.push_back({"ShapeError", message<ShapeError>([&] { Linear(4, 2).forward(a); })});
  all.push_back({"DTypeError", message<DTypeError>([&] { erf(zeros({2}, c64)); })});
  all.push_back({"DTypeError", message<DTypeError>([&] { a.data<double>(); })});
  if (cuda_is_simulated()) {
    all.push_back({"DeviceError", message<DeviceError>([&] { a.to(Device::cuda(7)); })});
    all.push_back({"DeviceError", message<DeviceError>([&] { a + a.to(Device::cuda()); })});
    all.push_back({"CudaError", message<CudaError>([&] { CudaGraph([&] { (void)a.to(Device::cuda()).item(); }); })});
    all.push_back({"CudaError", message<CudaError>([&] {
                     Tensor there = a.to(Device::cuda());
                     CudaGraph([&] { (void)there.sum().item(); });
                   })});
    Tensor there = a.to(Device::cuda());
    index_select(there, 0, tensor({5}, {i64, Device::cuda()}));
    all.push_back({"IndexError", message<IndexError>([] { cuda_synchronize(); })});
  }
  all.push_back({"IndexError", message<IndexError>([&] { a.sum(2); })});
  all.push_back({"IndexError", message<IndexError>([&] { a.select(0, 7); })});
  all.push_back({"ValueError", message<ValueError>([&] { topk(a, 4); })});
  all.push_back({"GradError", message<GradError>([&] { a.sum().backward(); })});
  all.push_back({"GradError", message<GradError>([&] { (leaf() * 2).backward(); })});
  all.push_back({"GradError", message<GradError>([&] {
                   Tensor y = exp(leaf()).sum();
                   y.backward();
                   y.backward();
                 })});
  all.push_back({"GradError", message<GradError>([&] {
                   Tensor y = exp(leaf()), z = y.sum();
                   y.mul_(2);
                   z.backward();
                 })});
  all.push_back({"GradError", message<GradError>([&] { leaf().add_(1); })});
  all.push_back({"GradError", message<GradError>([&] {
                   Anomaly watch;
                   log(leaf() - 1);
                 })});
  all.push_back({"MemoryError", message<MemoryError>([&] { empty({int64_t(1) << 50}); })});
  all.push_back({"IoError", message<IoError>([&] { load_npy("/no/such/file.npy"); })});
  all.push_back({"NotSupported", message<NotSupported>([&] {
                   Tensor i = zeros({1}, i64);
                   std::vector<Index> where(7, Index(i));
                   index_put(zeros({1, 1, 1, 1, 1, 1, 1}), where, a.sum());
                 })});
  all.push_back({"LinalgError", message<LinalgError>([&] { inverse(zeros({2, 2})); })});
  return all;
}

}  // namespace

TEST_CASE("docs/errors.md shows the messages that the library really gives", "[errors]") {
  std::string page = text_of(INK_SOURCE_DIR "/docs/errors.md");
  for (const Example& e : examples()) {
    // How much memory is live depends on what ran before: the page shows that message up to its numbers.
    std::string line =
        e.message.substr(0, std::string(e.type) == "MemoryError" ? e.message.find(" with ") : std::string::npos);
    INFO(e.type << ": " << e.message);
    CHECK(page.find(line) != std::string::npos);
    size_t section = page.find(std::string("## ") + e.type);
    CHECK(section != std::string::npos);
    CHECK(page.find(line, section) != std::string::npos);
  }
}

TEST_CASE("docs/errors.md lists the limits that are kept on purpose, with what they say", "[errors]") {
  struct NoFields : Module {
  } none;
  const std::vector<std::string> said = {
      message<ShapeError>([] {
        zeros({1, 1, 1, 1, 1, 1, 1, 1, 1});
      }),
      message<ValueError>([] { zeros({3}).slice(0, 0, 3, -1); }),
      message<GradError>([] {
        Tensor x = ones({3}).requires_grad_(), y = x * 2, row = y[0];
        row.mul_(3);
      }),
      message<Error>([] { Adam({ones({2}, f16).requires_grad_()}); }),
      message<ValueError>([&] { SGD(none.parameters()); }),
      message<ValueError>([&] { EMA(none.parameters()); }),
      message<DTypeError>([] { inverse(eye(2, f16)); }),
      message<DTypeError>([] { max(zeros({2}, c64)); }),
      message<DTypeError>([] { ones({1}, i64).add_(ones({1})); }),
      message<ValueError>([] { zeros({2}, u8).fill_(300); }),
      message<DTypeError>([] { masked_fill(zeros({2}, i64), ones({2}, boolean), 2.5); }),
      message<DTypeError>([] { zeros({2}, boolean) - zeros({2}, boolean); }),
      message<ShapeError>([] {
        conv2d(zeros({3, 4, 4}), zeros({1, 3, 2, 2}));
      }),
      message<ValueError>([] { Tensor().shape(); }),
      message<ValueError>([] { Sequential(Linear(1, 1), [](const Tensor& x) { return x; })[1]; }),
  };
  const std::string page = text_of(INK_SOURCE_DIR "/docs/errors.md");
  const std::string limits = page.substr(page.find("## Limits"));
  for (const std::string& text : said) {
    INFO(text);
    CHECK(limits.find("| " + text + " |") != std::string::npos);
  }
  CHECK(std::count(limits.begin(), limits.end(), '\n') - 6 == int64_t(said.size()));  // no line without a check
}

TEST_CASE("docs/errors.md has a section for every error class", "[errors]") {
  std::string page = text_of(INK_SOURCE_DIR "/docs/errors.md"), header = text_of(INK_SOURCE_DIR "/tensor/error.h");
  int classes = 0;
  for (size_t at = header.find("struct "); at != std::string::npos; at = header.find("struct ", at + 1)) {
    std::string name = header.substr(at + 7, header.find(' ', at + 7) - at - 7);
    if (name == "Error") continue;
    ++classes;
    INFO(name);
    CHECK(page.find("## " + name) != std::string::npos);
  }
  CHECK(classes >= 11);
}
