#include "nn/module.h"

#include <memory>
#include <optional>

#include "autograd/graph/engine.h"
#include "autograd/graph/mode.h"
#include "nn/layers/activation.h"
#include "nn/layers/conv.h"
#include "nn/layers/embedding.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "nn/sequential.h"
#include "tensor/io.h"
#include "tests/catch.h"
#include "tests/support/gradients.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

using Names = std::vector<std::string>;
Names names(const NamedTensors& list) {
  Names n;
  for (auto& [name, t] : list) n.push_back(name);
  return n;
}

struct Block : Module {
  Linear a;
  Param scale = ones({1});
  Buffer count = zeros({}, i64);
  explicit Block(int64_t dim) : a(dim, dim) {}
  Tensor forward(const Tensor& x) const { return a.forward(x) * scale; }
  void fields(Fields& f) override { f("a", a)("scale", scale)("count", count); }
};
struct Net : Module {
  std::vector<Block> blocks;
  std::unique_ptr<Linear> head = std::make_unique<Linear>(3, 2);
  std::optional<Linear> absent;
  Net() : blocks(2, Block(3)) {}
  Tensor forward(Tensor x) const {
    for (const Block& b : blocks) x = b.forward(x);
    return head->forward(x);
  }
  void fields(Fields& f) override { f("blocks", blocks)("head", head)("absent", absent); }
};

}  // namespace

TEST_CASE("a parameter copies its elements and keeps its handle when assigned", "[module]") {
  Param p = ones({2}), copy = p;
  CHECK_FALSE(copy.shares_storage(p));
  CHECK(copy.requires_grad());
  Tensor handle = p;
  p = tensor({3, 4});
  CHECK(values(handle) == Values{3, 4});
  p = copy;
  CHECK(values(handle) == Values{1, 1});
  p = zeros({2, 3}, f64);  // another shape and dtype: still the same handle
  CHECK(handle.is_same(p));
  CHECK(handle.shape() == Shape{2, 3});
  CHECK(handle.dtype() == f64);
  CHECK(handle.requires_grad());
  CHECK(handle.is_leaf());
  Param square = tensor({{1, 2}, {3, 4}});
  square = square.t();  // the contents overlap the parameter
  CHECK(values(square) == Values{1, 3, 2, 4});
  square = Tensor();
  CHECK_FALSE(square.defined());
  Buffer b = zeros({2});
  Buffer other = b;
  CHECK_FALSE(other.shares_storage(b));
  CHECK_FALSE(b.requires_grad());
}

TEST_CASE("a value that a graph needs cannot be replaced unnoticed", "[module]") {
  Param w = ones({2});
  Tensor loss = (w * w).sum();
  w = tensor({5, 6});
  CHECK_THROWS_AS(loss.backward(), GradError);
}

TEST_CASE("copies of modules are independent", "[module]") {
  std::vector<Block> blocks(4, Block(3));
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < i; ++j) {
      CHECK(equal(blocks[i].a.weight, blocks[j].a.weight));
      CHECK_FALSE(blocks[i].a.weight.shares_storage(blocks[j].a.weight));
      CHECK_FALSE(blocks[i].count.shares_storage(blocks[j].count));
    }
  blocks[1].a.weight = zeros({3, 3});
  CHECK(count_nonzero(blocks[0].a.weight).item() == 9);
  Tensor handle = blocks[0].a.weight;
  blocks[0] = blocks[1];
  CHECK(handle.is_same(blocks[0].a.weight));
  CHECK(count_nonzero(handle).item() == 0);
}

TEST_CASE("names are paths in the order of fields; absent parts are left out", "[module]") {
  Net net;
  CHECK(names(net.named_parameters()) == Names{"blocks.0.a.weight", "blocks.0.a.bias", "blocks.0.scale",
                                               "blocks.1.a.weight", "blocks.1.a.bias", "blocks.1.scale", "head.weight",
                                               "head.bias"});
  CHECK(names(net.named_buffers()) == Names{"blocks.0.count", "blocks.1.count"});
  CHECK(net.parameters().size() == 8);
  CHECK(net.num_parameters() == 2 * (9 + 3 + 1) + 8);
  Names modules;
  for (auto& [name, m] : net.named_modules()) modules.push_back(name);
  CHECK(modules == Names{"", "blocks.0", "blocks.0.a", "blocks.1", "blocks.1.a", "head"});
  net.absent.emplace(1, 1, LinearOptions{.bias = false});
  net.head.reset();
  CHECK(names(net.named_parameters()).back() == "absent.weight");
  CHECK(net.named_parameters().size() == 7);
}

TEST_CASE("a shared parameter is visited once", "[module]") {
  struct Tied : Module {
    std::shared_ptr<Linear> one = std::make_shared<Linear>(2, 2);
    void fields(Fields& f) override { f("encoder", *one)("decoder", *one); }
  } tied;
  CHECK(names(tied.named_parameters()) == Names{"encoder.weight", "encoder.bias"});
  CHECK(tied.num_parameters() == 6);
  CHECK(tied.state_dict().size() == 2);
  tied.to(f64);
  CHECK(tied.one->weight.dtype() == f64);
}

TEST_CASE("train, eval, freezing and zero_grad reach every part", "[module]") {
  Net net;
  net.eval();
  for (auto& [name, m] : net.named_modules()) CHECK_FALSE(m->is_training());
  net.train();
  for (auto& [name, m] : net.named_modules()) CHECK(m->is_training());
  net.requires_grad_(false);
  CHECK_FALSE(net.forward(ones({1, 3})).requires_grad());
  net.requires_grad_(true);
  net.forward(ones({1, 3})).sum().backward();
  for (const Tensor& p : net.parameters()) CHECK(p.grad().defined());
  net.zero_grad();
  for (const Tensor& p : net.parameters()) CHECK_FALSE(p.grad().defined());
}

TEST_CASE("to changes the dtype of floating point parts behind the same handles", "[module]") {
  Net net;
  Tensor handle = net.blocks[0].a.weight, before = handle.clone();
  net.blocks[1].a.requires_grad_(false);
  net.forward(ones({1, 3})).sum().backward();
  net.to(f64);
  CHECK(handle.dtype() == f64);
  CHECK(equal(handle, before.to(f64)));
  CHECK_FALSE(handle.grad().defined());
  CHECK(handle.requires_grad());
  CHECK_FALSE(net.blocks[1].a.weight.requires_grad());
  CHECK(net.blocks[0].count.dtype() == i64);
  CHECK(net.forward(ones({1, 3}, f64)).dtype() == f64);
  net.forward(ones({1, 3}, f64)).sum().backward();
  CHECK(handle.grad().dtype() == f64);
  net.to(bf16);
  CHECK(net.forward(ones({1, 3}, bf16)).dtype() == bf16);
  net.to(Device::cpu());
  CHECK_THROWS_WITH(net.to(i64), contains("Module::to: got i64; expected a floating point dtype"));
}

TEST_CASE("a state dict goes through a file and back", "[module][state]") {
  TemporaryFolder folder;
  Net net, other;
  net.blocks[0].count = full({}, 7, i64);
  CHECK_FALSE(equal(net.head->weight, other.head->weight));
  net.save(folder / "net");
  Tensor handle = other.head->weight;
  other.load(folder / "net");
  NamedTensors a = net.state_dict(), b = other.state_dict();
  REQUIRE(names(a) == names(b));
  for (size_t i = 0; i < a.size(); ++i) CHECK(equal(a[i].second, b[i].second));
  CHECK(handle.is_same(other.head->weight));
  CHECK(handle.requires_grad());
  for (auto& [name, t] : a) CHECK_FALSE(t.requires_grad());
  other.to(f64);  // values are cast to the module's dtypes
  other.load(folder / "net");
  CHECK(equal(other.head->weight, net.head->weight.to(f64)));
}

TEST_CASE("a state that does not fit changes nothing", "[module][state]") {
  Net net;
  NamedTensors before;
  for (auto& [n, t] : net.state_dict()) before.emplace_back(n, t.clone());
  NamedTensors state;
  for (auto& [n, t] : before) state.emplace_back(n, is_floating(t.dtype()) ? t + 1 : t);
  auto unchanged = [&] {
    NamedTensors now = net.state_dict();
    for (size_t i = 0; i < now.size(); ++i)
      if (!equal(now[i].second, before[i].second)) return false;
    return true;
  };
  NamedTensors renamed = state, reshaped = state, complex = state;
  renamed.back().first = "head.offset";
  CHECK_THROWS_WITH(net.load_state_dict(renamed),
                    contains("missing: head.bias; unknown: head.offset; hint: pass strict = false"));
  CHECK_THROWS_AS(net.load_state_dict(renamed), ValueError);
  CHECK(unchanged());
  reshaped.back().second = zeros({1, 2});
  CHECK_THROWS_WITH(net.load_state_dict(reshaped),
                    contains("load_state_dict: head.bias has another shape; got [1, 2]; expected [2]"));
  CHECK_THROWS_AS(net.load_state_dict(reshaped, false), ShapeError);
  CHECK(unchanged());
  complex.back().second = zeros({2}, c64);
  CHECK_THROWS_WITH(net.load_state_dict(complex),
                    contains("load_state_dict: head.bias has another dtype; got c64; expected f32"));
  CHECK(unchanged());
  CHECK_THROWS_AS(net.load("/no/such/file"), IoError);
  CHECK(unchanged());
  net.load_state_dict(renamed, false);
  CHECK(equal(net.head->weight, before[before.size() - 2].second + 1));
  CHECK(equal(net.head->bias, before.back().second));
}

TEST_CASE("the summary lists parameters, shapes, counts, frozen ones and buffers", "[module]") {
  Net net;
  net.head->requires_grad_(false);
  std::string text = net.summary();
  CHECK_THAT(text, contains("blocks.0.a.weight") && contains("[3, 3]"));
  CHECK_THAT(text, contains("34 parameters, 26 of them trained"));
  CHECK_THAT(text, contains("6  frozen"));
  CHECK_THAT(text, contains("1  buffer"));
}

TEST_CASE("check_covers names a leaf that stands in no field", "[module]") {
  struct Forgetful : Module {
    Linear named{3, 2};
    Param forgotten = ones({2});
    Tensor forward(const Tensor& x) const { return named.forward(x) * forgotten; }
    void fields(Fields& f) override { f("named", named); }
  } net;
  CHECK_THROWS_WITH(check_covers(net.forward(ones({1, 3})).sum(), net),
                    contains("a leaf of shape [2], used by mul, gets a gradient but stands in no field"));
  CHECK_THROWS_AS(check_covers(net.forward(ones({1, 3})).sum(), net), GradError);
  net.forgotten.Tensor::requires_grad_(false);
  CHECK_NOTHROW(check_covers(net.forward(ones({1, 3})).sum(), net));
  CHECK_NOTHROW(check_covers(ones({}), net));
}

TEST_CASE("check_covers names a member that stands in no field", "[module]") {
  struct Noisy : Module {  // the Dropout goes on dropping after eval()
    Linear a{3, 3};
    Dropout drop{0.5};
    Tensor forward(const Tensor& x) const { return drop.forward(a.forward(x)); }
    void fields(Fields& f) override { f("a", a); }
  } net;
  net.eval();
  CHECK(net.drop.is_training());
  auto check = [](auto& m) { check_covers(m.forward(ones({2, 3})).sum(), m); };
  CHECK_THROWS_AS(check(net), ValueError);
  CHECK_THROWS_WITH(check(net), contains("check_covers: a ink::Dropout is a member of ") && contains("Noisy") &&
                                    contains("so train(), eval() and to() do not reach it"));
  struct Deep : Module {  // found in a list, behind a pointer and in an optional, if their fields name those
    std::vector<Noisy> list = std::vector<Noisy>(1);
    std::unique_ptr<Linear> head = std::make_unique<Linear>(3, 3);
    Tensor forward(const Tensor& x) const { return head->forward(list[0].forward(x)); }
    void fields(Fields& f) override { f("list", list)("head", head); }
  } deep;
  CHECK_THROWS_WITH(check(deep), contains("a ink::Dropout is a member of"));
  struct Whole : Noisy {
    void fields(Fields& f) override { f("a", a)("drop", drop); }
  } whole;
  CHECK_NOTHROW(check(whole));
  whole.eval();
  CHECK_FALSE(whole.drop.is_training());
  Noisy copy = net;  // copies and moves are members too
  Noisy moved = std::move(copy);
  CHECK_THROWS_AS(check(moved), ValueError);
  Sequential sequence(Linear(3, 3), Noisy());
  CHECK_THROWS_AS(check(sequence), ValueError);
}

TEST_CASE("layers move without copying, so that handles stay in a growing list", "[module]") {
  static_assert(std::is_nothrow_move_constructible_v<Linear> && std::is_nothrow_move_constructible_v<Block>);
  std::vector<Linear> list;
  list.emplace_back(2, 2);
  Tensor handle = list[0].weight;
  for (int i = 0; i < 8; ++i) list.emplace_back(2, 2);
  CHECK(handle.is_same(list[0].weight));
}

TEST_CASE("one weight in two places is copied, saved and loaded once, and both uses train it", "[module]") {
  struct Tied : Module {  // the head's weight is the table of the embedding
    Embedding tokens{5, 3};
    Linear body{3, 3};
    Tensor forward(const Tensor& ids) const { return linear(body.forward(tokens.forward(ids)), tokens.weight); }
    void fields(Fields& f) override { f("tokens", tokens)("body", body); }
  } net;
  Tensor ids = tensor({0, 3, 4}, i64);
  CHECK(names(net.named_parameters()) == Names{"tokens.weight", "body.weight", "body.bias"});
  cross_entropy(net.forward(ids), ids).backward();
  check_covers(net.forward(ids).sum(), net);
  // Both uses: the gradient is the sum of what each one alone would give.
  Tensor table = net.tokens.weight.detach().clone().requires_grad_(), head = table.detach().clone().requires_grad_();
  cross_entropy(linear(net.body.forward(embedding(table, ids)), head), ids).backward();
  CHECK(difference(net.tokens.weight.grad(), table.grad() + head.grad()) < 1e-6);

  Tied copy = net;  // still one weight, and its own
  CHECK(equal(copy.forward(ids), net.forward(ids)));
  {
    NoGrad guard;
    copy.tokens.weight.mul_(2);
  }
  CHECK(equal(copy.forward(ids), linear(copy.body.forward(copy.tokens.forward(ids)), copy.tokens.weight)));
  CHECK_FALSE(equal(copy.forward(ids), net.forward(ids)));
  TemporaryFolder folder;
  net.save(folder / "tied.safetensors");
  copy.load(folder / "tied.safetensors");
  CHECK(equal(copy.forward(ids), net.forward(ids)));
  CHECK(load_safetensors(folder / "tied.safetensors").size() == 3);
}

TEST_CASE("apply visits every module, with its path if asked", "[module]") {
  Net net;
  int linears = 0;
  net.apply([&](Module& m) { linears += dynamic_cast<Linear*>(&m) != nullptr; });
  CHECK(linears == 3);
  Names paths;
  net.apply([&](const std::string& path, Module&) { paths.push_back(path); });
  CHECK(paths == Names{"", "blocks.0", "blocks.0.a", "blocks.1", "blocks.1.a", "head"});
}

TEST_CASE("Sequential gives out its layers", "[module][sequential]") {
  Sequential net(Linear(3, 4), Identity(), [](const Tensor& x) { return x * 2; });
  CHECK(dynamic_cast<Linear*>(&net[0]) != nullptr);
  CHECK(net.at<Linear>(0).weight.is_same(net.parameters()[0]));
  CHECK_THROWS_WITH(net.at<Linear>(1), contains("Sequential: layer 1 is of another type"));
  CHECK_THROWS_WITH(net[2], contains("Sequential: layer 2 is a callable, no module"));
  CHECK_THROWS_WITH(net[3], contains("Sequential: no layer 3; it has 3"));
  CHECK_THROWS_AS(net[3], IndexError);
  Tensor x = ones({2, 3});
  CHECK(Identity().forward(x).is_same(x));
  CHECK(equal(net.forward(x), net.at<Linear>(0).forward(x) * 2));
}

TEST_CASE("Sequential runs layers and functions in order, and copies deeply", "[module][sequential]") {
  Sequential net(Linear(3, 4), Relu(), Linear(4, 2), [](const Tensor& x) { return x * 2; });
  CHECK(net.size() == 4);
  CHECK(names(net.named_parameters()) == Names{"0.weight", "0.bias", "2.weight", "2.bias"});
  Tensor x = normal({5, 3}, 1, f32);
  auto p = net.parameters();
  CHECK(equal(net.forward(x), linear(relu(linear(x, p[0], p[1])), p[2], p[3]) * 2));
  Sequential copy = net;
  CHECK(equal(copy.forward(x), net.forward(x)));
  copy.parameters()[0].detach().zero_();
  CHECK_FALSE(equal(copy.forward(x), net.forward(x)));
  net = copy;
  CHECK(equal(copy.forward(x), net.forward(x)));
  CHECK_FALSE(net.parameters()[0].shares_storage(copy.parameters()[0]));
  Sequential nested(net, Dropout(0.5));
  nested.eval();
  CHECK(equal(nested.forward(x), net.forward(x)));
  CHECK(nested.named_parameters()[0].first == "0.0.weight");
  Sequential grown;
  grown.add(Linear(3, 3)).add(Tanh());
  CHECK(grown.forward(x).shape() == Shape{5, 3});
  CHECK(equal(Sequential().forward(x), x));
}
