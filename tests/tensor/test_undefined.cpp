// What an undefined tensor answers: every member of Tensor works on it or throws a typed error.
#include <functional>

#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;

namespace {

enum class Answer {
  works,   // an undefined tensor can say so much
  throws,  // an Error
};
struct Member {
  const char* name;
  Answer answer;
  std::function<void(Tensor&)> call;
};

// Each member of tensor/tensor.h, in its order.
std::vector<Member> members() {
  using enum Answer;
  const Tensor other = ones({2});
  return {
      {"defined", works, [](Tensor& t) { CHECK(!t.defined()); }},
      {"shape", throws, [](Tensor& t) { t.shape(); }},
      {"strides", throws, [](Tensor& t) { t.strides(); }},
      {"size", throws, [](Tensor& t) { t.size(0); }},
      {"stride", throws, [](Tensor& t) { t.stride(0); }},
      {"dim", throws, [](Tensor& t) { t.dim(); }},
      {"numel", throws, [](Tensor& t) { t.numel(); }},
      {"dtype", throws, [](Tensor& t) { t.dtype(); }},
      {"device", throws, [](Tensor& t) { t.device(); }},
      {"options", throws, [](Tensor& t) { t.options(); }},
      {"is_contiguous", throws, [](Tensor& t) { t.is_contiguous(); }},
      {"storage_offset", throws, [](Tensor& t) { t.storage_offset(); }},
      {"nbytes", throws, [](Tensor& t) { t.nbytes(); }},
      {"is_same", works, [=](Tensor& t) { CHECK((t.is_same(t) && !t.is_same(other) && !other.is_same(t))); }},
      {"shares_storage", throws, [=](Tensor& t) { t.shares_storage(other); }},
      {"shares_storage, of another", throws, [=](Tensor& t) { other.shares_storage(t); }},
      {"raw_data", throws, [](Tensor& t) { t.raw_data(); }},
      {"data", throws, [](Tensor& t) { t.data<float>(); }},
      {"span", throws, [](Tensor& t) { t.span<float>(); }},
      {"item", throws, [](Tensor& t) { t.item(); }},
      {"item_scalar", throws, [](Tensor& t) { t.item_scalar(); }},
      {"to_vector", throws, [](Tensor& t) { t.to_vector<float>(); }},
      {"str", works, [](Tensor& t) { CHECK(t.str() == "tensor(undefined)"); }},
      {"impl", works, [](Tensor& t) { CHECK(!t.impl()); }},
      {"requires_grad", works, [](Tensor& t) { CHECK(!t.requires_grad()); }},
      {"requires_grad_", throws, [](Tensor& t) { t.requires_grad_(); }},
      {"requires_grad_(false)", throws, [](Tensor& t) { t.requires_grad_(false); }},
      {"is_leaf", works, [](Tensor& t) { CHECK(t.is_leaf()); }},
      {"grad", works, [](Tensor& t) { CHECK(!t.grad().defined()); }},
      {"set_grad", throws, [=](Tensor& t) { t.set_grad(other); }},
      {"zero_grad", works, [](Tensor& t) { t.zero_grad(); }},
      {"detach", throws, [](Tensor& t) { t.detach(); }},
      {"retain_grad", throws, [](Tensor& t) { t.retain_grad(); }},
      {"backward", throws, [](Tensor& t) { t.backward(); }},
      {"to dtype", throws, [](Tensor& t) { t.to(f64); }},
      {"to device", throws, [](Tensor& t) { t.to(Device::cpu()); }},
      {"to options", throws, [](Tensor& t) { t.to(Options(f64, Device::cpu())); }},
      {"contiguous", throws, [](Tensor& t) { t.contiguous(); }},
      {"clone", throws, [](Tensor& t) { t.clone(); }},
      {"add_", throws, [=](Tensor& t) { t.add_(other); }},
      {"add_, to another", throws, [=](Tensor& t) { other.clone().add_(t); }},
      {"sub_", throws, [=](Tensor& t) { t.sub_(other); }},
      {"mul_", throws, [=](Tensor& t) { t.mul_(other); }},
      {"div_", throws, [=](Tensor& t) { t.div_(other); }},
      {"add_ a number", throws, [](Tensor& t) { t.add_(1); }},
      {"sub_ a number", throws, [](Tensor& t) { t.sub_(1); }},
      {"mul_ a number", throws, [](Tensor& t) { t.mul_(2); }},
      {"div_ a number", throws, [](Tensor& t) { t.div_(2); }},
      {"fill_", throws, [](Tensor& t) { t.fill_(1); }},
      {"zero_", throws, [](Tensor& t) { t.zero_(); }},
      {"copy_", throws, [=](Tensor& t) { t.copy_(other); }},
      {"copy_, to another", throws, [=](Tensor& t) { other.clone().copy_(t); }},
      {"uniform_", throws, [](Tensor& t) { t.uniform_(); }},
      {"normal_", throws, [](Tensor& t) { t.normal_(); }},
      {"+=", throws, [=](Tensor& t) { t += other; }},
      {"-=", throws, [=](Tensor& t) { t -= other; }},
      {"*=", throws, [=](Tensor& t) { t *= other; }},
      {"/=", throws, [=](Tensor& t) { t /= other; }},
      {"+= a number", throws, [](Tensor& t) { t += 1; }},
      {"-= a number", throws, [](Tensor& t) { t -= 1; }},
      {"*= a number", throws, [](Tensor& t) { t *= 2; }},
      {"/= a number", throws, [](Tensor& t) { t /= 2; }},
      {"reshape", throws, [](Tensor& t) { t.reshape({1}); }},
      {"view", throws, [](Tensor& t) { t.view({1}); }},
      {"flatten", throws, [](Tensor& t) { t.flatten(); }},
      {"transpose", throws, [](Tensor& t) { t.transpose(0, 1); }},
      {"t", throws, [](Tensor& t) { t.t(); }},
      {"permute", throws, [](Tensor& t) { t.permute({0}); }},
      {"expand", throws, [](Tensor& t) { t.expand({1}); }},
      {"squeeze a dim", throws, [](Tensor& t) { t.squeeze(0); }},
      {"squeeze", throws, [](Tensor& t) { t.squeeze(); }},
      {"unsqueeze", throws, [](Tensor& t) { t.unsqueeze(0); }},
      {"select", throws, [](Tensor& t) { t.select(0, 0); }},
      {"slice", throws, [](Tensor& t) { t.slice(0, 0, 1); }},
      {"narrow", throws, [](Tensor& t) { t.narrow(0, 0, 1); }},
      {"diagonal", throws, [](Tensor& t) { t.diagonal(); }},
      {"unfold", throws, [](Tensor& t) { t.unfold(0, 1, 1); }},
      {"index", throws, [](Tensor& t) { t.index({0}); }},
      {"index_put_", throws, [=](Tensor& t) { t.index_put_({0}, other); }},
      {"[]", throws, [](Tensor& t) { t[0]; }},
      {"split", throws, [](Tensor& t) { t.split(1); }},
      {"chunk", throws, [](Tensor& t) { t.chunk(1); }},
      {"exp", throws, [](Tensor& t) { t.exp(); }},
      {"log", throws, [](Tensor& t) { t.log(); }},
      {"sqrt", throws, [](Tensor& t) { t.sqrt(); }},
      {"abs", throws, [](Tensor& t) { t.abs(); }},
      {"sin", throws, [](Tensor& t) { t.sin(); }},
      {"cos", throws, [](Tensor& t) { t.cos(); }},
      {"tanh", throws, [](Tensor& t) { t.tanh(); }},
      {"sigmoid", throws, [](Tensor& t) { t.sigmoid(); }},
      {"relu", throws, [](Tensor& t) { t.relu(); }},
      {"square", throws, [](Tensor& t) { t.square(); }},
      {"pow a number", throws, [](Tensor& t) { t.pow(2); }},
      {"pow", throws, [=](Tensor& t) { t.pow(other); }},
      {"clamp", throws, [](Tensor& t) { t.clamp(0, 1); }},
      {"masked_fill", throws, [=](Tensor& t) { t.masked_fill(other > 0, 1); }},
      {"masked_fill, of another", throws, [=](Tensor& t) { other.masked_fill(t, 1); }},
      {"sum", throws, [](Tensor& t) { t.sum(); }},
      {"mean", throws, [](Tensor& t) { t.mean(); }},
      {"prod", throws, [](Tensor& t) { t.prod(); }},
      {"max", throws, [](Tensor& t) { t.max(); }},
      {"min", throws, [](Tensor& t) { t.min(); }},
      {"var", throws, [](Tensor& t) { t.var(); }},
      {"std", throws, [](Tensor& t) { t.std(); }},
      {"norm", throws, [](Tensor& t) { t.norm(); }},
      {"any", throws, [](Tensor& t) { t.any(); }},
      {"all", throws, [](Tensor& t) { t.all(); }},
      {"argmax", throws, [](Tensor& t) { t.argmax(); }},
      {"argmin", throws, [](Tensor& t) { t.argmin(); }},
      {"cumsum", throws, [](Tensor& t) { t.cumsum(0); }},
      {"softmax", throws, [](Tensor& t) { t.softmax(0); }},
      {"log_softmax", throws, [](Tensor& t) { t.log_softmax(0); }},
      {"matmul", throws, [=](Tensor& t) { t.matmul(other); }},
      {"matmul, of another", throws, [=](Tensor& t) { other.matmul(t); }},
      {"mm", throws, [=](Tensor& t) { t.mm(other); }},
      {"dot", throws, [=](Tensor& t) { t.dot(other); }},
      {"- of it", throws, [](Tensor& t) { -t; }},
      {"! of it", throws, [](Tensor& t) { !t; }},
      {"+", throws, [=](Tensor& t) { t + other; }},
      {"/ of another", throws, [=](Tensor& t) { other / t; }},
      {"- from a number", throws, [](Tensor& t) { 1 - t; }},
      {"==", throws, [=](Tensor& t) { t == other; }},
      {"< a number", throws, [](Tensor& t) { t < 1; }},
      {"&", throws, [=](Tensor& t) { t& other; }},
  };
}

}  // namespace

TEST_CASE("every member works on an undefined tensor or throws a typed error", "[errors]") {
  for (const Member& m : members()) {
    INFO(m.name);
    Tensor none;
    if (m.answer == Answer::works)
      CHECK_NOTHROW(m.call(none));
    else
      CHECK_THROWS_AS(m.call(none), Error);
    CHECK(!none.defined());
  }
}
