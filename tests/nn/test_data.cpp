#include <set>

#include "autograd/ops.h"
#include "nn/data/idx.h"
#include "nn/data/loader.h"
#include "nn/data/text.h"
#include "nn/state.h"
#include "tensor/io.h"
#include "tests/catch.h"
#include "tests/support/temporary.h"

using namespace ink;
using namespace ink::test;

namespace {

using Ids = std::vector<int64_t>;
const std::string kData = INK_SOURCE_DIR "/examples/data";

TensorDataset numbers(int64_t n) { return TensorDataset({arange(n), arange(2 * n).reshape({n, 2}).to(f32)}); }
Ids ids(const Tensor& t) { return t.to_vector<int64_t>(); }

// Examples made one by one: i, and its square twice. Example `bad` cannot be made.
struct Squares : Dataset {
  int64_t n, bad;
  explicit Squares(int64_t n, int64_t bad = -1) : n(n), bad(bad) {}
  int64_t size() const override { return n; }
  Example get(int64_t i) const override {
    if (i == bad) throw IoError("example is damaged");
    return {Tensor(Scalar(i)), full({2}, i * i)};
  }
};

}  // namespace

TEST_CASE("a loader hands out every example once an epoch, in order or shuffled", "[data]") {
  for (bool shuffle : {false, true})
    for (bool prefetch : {false, true}) {
      DataLoader loader(numbers(10), {.batch_size = 4, .shuffle = shuffle, .prefetch = prefetch, .seed = 3});
      CHECK(loader.num_batches() == 3);
      Ids seen, sizes;
      for (const Batch& b : loader) {
        sizes.push_back(b[0].size(0));
        CHECK(b[1].shape() == Shape{b[0].size(0), 2});
        for (int64_t i = 0; i < b[0].size(0); ++i) {  // the tensors of an example stay together
          seen.push_back(b[0].select(0, i).item<int64_t>());
          CHECK(b[1].select(0, i).select(0, 1).item() == double(2 * seen.back() + 1));
        }
      }
      CHECK(sizes == Ids{4, 4, 2});
      CHECK(loader.epoch() == 1);
      CHECK((seen == Ids{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) == !shuffle);
      CHECK(std::set<int64_t>(seen.begin(), seen.end()).size() == 10);
    }
}

TEST_CASE("each epoch has its own order, and the seed decides it", "[data]") {
  auto epochs = [](uint64_t seed, bool prefetch) {
    DataLoader loader(numbers(20), {.batch_size = 20, .shuffle = true, .prefetch = prefetch, .seed = seed});
    return std::vector<Ids>{ids(loader.next()[0]), ids(loader.next()[0])};
  };
  auto first = epochs(1, true);
  CHECK(first[0] != first[1]);
  CHECK(first == epochs(1, false));
  CHECK(first != epochs(2, true));
}

TEST_CASE("drop_last leaves out the smaller batch; without batches next says so", "[data]") {
  DataLoader loader(numbers(10), {.batch_size = 4, .drop_last = true});
  int64_t count = 0;
  for (const Batch& b : loader) count += b[0].size(0);
  CHECK(count == 8);
  DataLoader none(numbers(3), {.batch_size = 4, .drop_last = true});
  for (const Batch& b : none) FAIL("a batch of " << b[0].size(0));
  CHECK_THROWS_WITH(none.next(), contains("no batches; got 3 examples for batches of 4"));
  CHECK_THROWS_WITH(DataLoader(numbers(3), {.batch_size = 0}), contains("batch_size; got 0; expected at least 1"));
}

TEST_CASE("a loader resumed at any batch continues with the same batches", "[data]") {
  TemporaryFolder folder;
  LoaderOptions options{.batch_size = 3, .shuffle = true, .seed = 9};
  const int total = 12;  // batches, in three epochs of four
  std::vector<Ids> want;
  DataLoader whole(numbers(10), options);
  for (int i = 0; i < total; ++i) want.push_back(ids(whole.next()[0]));
  for (int stop = 0; stop <= total; ++stop) {
    DataLoader before(numbers(10), options);
    for (int i = 0; i < stop; ++i) before.next();
    save_safetensors(folder / "state", before.state_dict());
    options.seed = 77;  // the seed comes from the state
    DataLoader after(numbers(10), options);
    after.next();
    after.load_state_dict(load_safetensors(folder / "state"));
    CHECK(after.epoch() == stop / 4);
    CHECK(after.position() == stop % 4);
    for (int i = stop; i < total; ++i) CHECK(ids(after.next()[0]) == want[size_t(i)]);
    options.seed = 9;
  }
}

TEST_CASE("every loop is a whole epoch, also after one that was left early", "[data]") {
  DataLoader loader(numbers(6), {.batch_size = 2});
  for (int pass = 0; pass < 2; ++pass) {
    std::vector<Ids> whole;
    for (const Batch& b : loader) whole.push_back(ids(b[0]));
    CHECK(whole == std::vector<Ids>{{0, 1}, {2, 3}, {4, 5}});
  }
  CHECK(loader.epoch() == 2);
  for (const Batch& b : loader) {
    CHECK(ids(b[0]) == Ids{0, 1});
    break;
  }
  CHECK(loader.position() == 1);
  const NamedTensors left = loader.state_dict();
  std::vector<Ids> again, rest, next;
  for (const Batch& b : loader) again.push_back(ids(b[0]));
  CHECK(again == std::vector<Ids>{{0, 1}, {2, 3}, {4, 5}});
  CHECK(loader.epoch() == 4);  // the one that was left early counts
  // A state loaded goes on where it was, once.
  loader.load_state_dict(left);
  for (const Batch& b : loader) rest.push_back(ids(b[0]));
  CHECK(rest == std::vector<Ids>{{2, 3}, {4, 5}});
  for (const Batch& b : loader) next.push_back(ids(b[0]));
  CHECK(next.size() == 3);
  DataLoader moved = std::move(loader);
  CHECK(ids(moved.next()[0]) == Ids{0, 1});
}

TEST_CASE("a shuffled epoch that was left early is followed by another order", "[data]") {
  auto orders = [](bool leave) {
    DataLoader loader(numbers(20), {.batch_size = 5, .shuffle = true, .seed = 4});
    std::vector<Ids> list;
    for (int pass = 0; pass < 3; ++pass)
      for (const Batch& b : loader) {
        list.push_back(ids(b[0]));
        if (leave && pass == 1) break;
      }
    return list;
  };
  std::vector<Ids> whole = orders(false), left = orders(true);
  CHECK(whole.size() == 12);
  whole.erase(whole.begin() + 5, whole.begin() + 8);  // what epoch 1 left out
  CHECK(left == whole);
}

TEST_CASE("a loader refuses the state of other data and keeps its own", "[data]") {
  DataLoader loader(numbers(10), {.batch_size = 4}), other(numbers(11), {.batch_size = 4});
  CHECK_THROWS_WITH(loader.load_state_dict(other.state_dict()),
                    contains("got 11 examples in batches of 4; expected 10 in batches of 4"));
  NamedTensors state = loader.state_dict();
  for (auto& [name, t] : state)
    if (name == "position") t = integer_state(3);
  CHECK_THROWS_WITH(loader.load_state_dict(state),
                    contains("no such place; got epoch 0, batch 3; expected a batch of 0 to 2"));
  CHECK_THROWS_WITH(loader.load_state_dict({}), contains("'size' is missing"));
  CHECK(ids(loader.next()[0]) == Ids{0, 1, 2, 3});
}

TEST_CASE("a dataset of one's own is stacked, and its error reaches the caller", "[data]") {
  DataLoader loader(Squares(5, 3), {.batch_size = 2});
  Batch b = loader.next();
  CHECK(b[0].shape() == Shape{2});
  CHECK(b[1].to_vector<double>() == std::vector<double>{0, 0, 1, 1});
  for (int attempt = 0; attempt < 2; ++attempt) CHECK_THROWS_WITH(loader.next(), contains("example is damaged"));
  CHECK(loader.position() == 1);
  struct Uneven : Squares {
    using Squares::Squares;
    Example get(int64_t i) const override { return Example(size_t(i + 1), ones({1})); }
  };
  CHECK_THROWS_WITH(Uneven(3).batch(Ids{0, 1}), contains("example 1 has another number of tensors; got 2; expected 1"));
}

TEST_CASE("tensor datasets check their tensors and can be cut", "[data]") {
  CHECK_THROWS_WITH(TensorDataset({}), contains("no tensors"));
  CHECK_THROWS_WITH(TensorDataset({ones({3, 2}), ones({4})}), contains("got [3, 2] and [4]"));
  CHECK_THROWS_WITH(TensorDataset({Tensor(Scalar(1))}), contains("0-dim"));
  TensorDataset data = numbers(10);
  CHECK(data.get(3)[1].to_vector<double>() == std::vector<double>{6, 7});
  CHECK_THROWS_AS(data.get(10), IndexError);
  TensorDataset tail = data.slice(8, 10);
  CHECK(tail.size() == 2);
  CHECK(tail.get(0)[0].item<int64_t>() == 8);
  CHECK(tail.tensors()[0].shares_storage(data.tensors()[0]));
}

TEST_CASE("the shipped digits load as pictures in [0, 1] with labels", "[data]") {
  TensorDataset digits = load_idx_images(kData, "digits");
  CHECK(digits.size() == 1797);
  const Tensor &images = digits.tensors()[0], &labels = digits.tensors()[1];
  CHECK(images.shape() == Shape{1797, 1, 8, 8});
  CHECK(images.dtype() == f32);
  CHECK(images.min().item() == 0);
  CHECK(images.max().item() == 1);
  CHECK(labels.dtype() == i64);
  CHECK(labels.min().item() == 0);
  CHECK(labels.max().item() == 9);
  CHECK(load_idx_images(kData, "digits", 32).tensors()[0].max().item() == 0.5);
  CHECK_THROWS_WITH(load_idx_images(kData, "none"), contains("none-images-idx3-ubyte.gz") && contains("No such file"));
}

TEST_CASE("labels that do not fit the pictures are refused", "[data]") {
  TemporaryFolder folder;
  write_file_atomically(folder / "a-images-idx3-ubyte", std::string("\0\0\x08\3\0\0\0\1\0\0\0\1\0\0\0\2ab", 18));
  write_file_atomically(folder / "a-labels-idx1-ubyte", std::string("\0\0\x08\1\0\0\0\2\1\2", 10));
  CHECK_THROWS_WITH(load_idx_images(folder / "", "a"), contains("got 1 images and 2 labels"));
  write_file_atomically(folder / "a-labels-idx1-ubyte", std::string("\0\0\x08\2\0\0\0\1\0\0\0\1\1", 13));
  CHECK_THROWS_WITH(load_idx_images(folder / "", "a"), contains("got u8 of shape [1, 1]; expected u8 with 1 dims"));
}

TEST_CASE("text becomes ids and back, in any script", "[data]") {
  std::string text = "b\u00e9ta \u4e2d\U0001f600 ab\n";
  CharText chars(text);
  CHECK(chars.vocabulary() == 8);
  CHECK(chars.ids().size(0) == 11);
  CHECK(chars.decode(chars.ids()) == text);
  CHECK(ids(chars.encode("\n ab")) == Ids{0, 1, 2, 3});
  CHECK(chars.encode("").numel() == 0);
  CHECK_THROWS_WITH(chars.encode("abz"), contains("not in the vocabulary; got U+007A at position 2"));
  CHECK_THROWS_WITH(chars.decode(tensor({8}, i64)), contains("got id 8; expected 0 to 7"));
  CHECK_THROWS_WITH(CharText("ok\xc3("), contains("not UTF-8; got byte 0xc3 at offset 2"));
  TemporaryFolder folder;
  write_file_atomically(folder / "t", "ok\xff");
  CHECK_THROWS_AS(CharText::load(folder / "t"), IoError);
  CHECK_THROWS_WITH(CharText::load(folder / "t"), contains("/t'") && contains("got byte 0xff at offset 2"));
}

TEST_CASE("the shipped book loads, splits and gives random windows", "[data]") {
  CharText book = CharText::load(kData + "/opticks.txt.gz");
  CHECK(book.ids().numel() > 100000);
  auto [train, test] = split_text(book.ids(), 0.9);
  CHECK(train.numel() + test.numel() == book.ids().numel());
  CHECK(train.shares_storage(book.ids()));
  Generator g(4), same(4);
  auto [x, y] = random_windows(test, 5, 16, g);
  CHECK(x.shape() == Shape{5, 16});
  CHECK(ids(x.slice(1, 1, 16)) == ids(y.slice(1, 0, 15)));  // targets are the inputs one character later
  CHECK(ids(random_windows(test, 5, 16, same).second) == ids(y));
  CHECK(ids(random_windows(test, 5, 16, same).second) != ids(y));
  CHECK(g.state != same.state);
  CHECK_THROWS_WITH(random_windows(test.slice(0, 0, 16), 1, 16, g), contains("got 1 windows of 16 from 16 characters"));
  Tensor three = arange(3);
  auto [a, b] = random_windows(three, 2, 2, g);  // the only window
  CHECK(ids(a) == Ids{0, 1, 0, 1});
  CHECK(ids(b) == Ids{1, 2, 1, 2});
  CHECK_THROWS_WITH(split_text(three, 1.5), contains("fraction; got 1.5"));
}

TEST_CASE("the states of a run's parts share one file", "[data][state]") {
  TemporaryFolder folder;
  Generator g(~uint64_t(0));
  g.advance(10);
  NamedTensors model = {{"layer.weight", ones({2, 2})}, {"layer.bias", zeros({2})}};
  save_safetensors(
      folder / "run",
      merge_states(
          {{"model", model},
           {"model2", {{"x", ones({1})}}},
           {"run", {{"random", generator_state(g)}, {"step", integer_state(-12)}, {"best", number_state(0.1)}}}}));
  NamedTensors run = load_safetensors(folder / "run");
  NamedTensors back = state_part(run, "model");
  REQUIRE(back.size() == 2);
  CHECK(back[0].first == "layer.weight");
  CHECK(back[0].second.shape() == Shape{2, 2});
  CHECK(state_part(run, "model.layer").size() == 2);
  CHECK(state_integer(run, "run.step") == -12);
  CHECK(state_number(run, "run.best") == 0.1);
  CHECK(state_generator(state_part(run, "run"), "random").state == g.state);
  CHECK(has_state_part(run, "model2"));
  CHECK_FALSE(has_state_part(run, "mode"));
  CHECK_THROWS_WITH(state_part(run, "optimizer"), contains("no part 'optimizer'; got model model2 run"));
  CHECK_THROWS_WITH(state_integer(run, "run.best"), contains("'run.best' has another dtype; got f64; expected i64"));
  CHECK_THROWS_WITH(state_integer(run, "run.random"), contains("another shape; got [2]; expected []"));
  CHECK_THROWS_WITH(merge_states({{"a", model}, {"a", model}}), contains("a name comes twice; got 'a.layer.weight'"));
}
