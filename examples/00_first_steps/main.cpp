// First steps: tensors, a gradient by hand against autograd, and two nets that learn to read digits
#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "autograd/observe/autocast.h"
#include "examples/00_first_steps/adam.h"
#include "examples/00_first_steps/steps.h"
#include "examples/support/lesson/lesson.h"
#include "include/inkstone/ink.h"
#include "nn/data/idx.h"
#include "nn/data/loader.h"

using namespace ink;
using namespace ink::lesson;

namespace {

double largest(const Tensor& x) { return x.abs().max().item(); }

// Images [n, 1, height, width] and labels [n] of one set; at least as many as a test set and a batch need.
TensorDataset read_digits(const Lesson& lesson, const std::string& set) {
  const std::filesystem::path file = lesson.data(set + "-images");
  TensorDataset digits = load_idx_images(file.parent_path(), set);
  if (digits.size() < 200)
    throw ValueError(fmt::format("'{}': too few images; got {}; expected at least 200", file.string(), digits.size()));
  return digits;
}

void tensors(Lesson& lesson) {
  lesson.section("1. Tensors", R"(\text{place}(i, j) = \text{offset} + i\, s_0 + j\, s_1)");
  Tensor a = arange(12).to(lesson.options()).reshape({3, 4});
  Tensor t = a.t();
  lesson.show("a", a);
  lesson.show("a.t(), a view", t);
  lesson.listing(fmt::format("a       shape {:<7} strides {}\na.t()   shape {:<7} strides {}", a.shape().str(),
                             a.strides().str(), t.shape().str(), t.strides().str()));
  lesson.expect("a view moves no element", t.shares_storage(a));
  walk_through_a_view(lesson);
  a.index_put_({0, 1}, full({}, 100, lesson.options()));
  lesson.expect("a write to a is seen through its view", t.index({1, 0}).item(), Equals{100});
  Tensor row = tensor({1, 10, 100, 1000}, lesson.options()), column = tensor({1, 2, 3}, lesson.options()).unsqueeze(1);
  lesson.show("row [4] + column [3, 1], broadcast to [3, 4]", row + column);
  Tensor wide = row.expand({3, 4}), tall = column.expand({3, 4});
  lesson.listing(fmt::format("row     strides {}   as [3, 4]: {}\ncolumn  strides {}   as [3, 4]: {}",
                             row.strides().str(), wide.strides().str(), column.strides().str(), tall.strides().str()));
  lesson.expect("broadcasting repeats without copying: the storage is the same, the repeated dim has stride 0",
                wide.shares_storage(row) && tall.shares_storage(column) && wide.strides()[0] == 0 &&
                    tall.strides()[1] == 0);
  lesson.expect("and an op broadcasts by the same rule", equal(row + column, wide.contiguous() + tall.contiguous()));
}

void one_neuron(Lesson& lesson) {
  lesson.section("2. A gradient by hand", R"(y = \tanh(w \cdot x + b), \quad L = (y - t)^2, \quad )"
                                          R"(\frac{dL}{dw} = 2 (y - t) (1 - y^2)\, x)");
  the_smallest_graph(lesson);
  a_net_node_by_node(lesson);
  Tensor x = tensor({0.5, -1, 2}, f64), w = tensor({0.1, 0.4, 0.3}, f64).requires_grad_();
  Tensor b = full({}, 0.2, f64).requires_grad_();
  auto loss_of = [&](const Tensor& weights, const Tensor& bias) {
    return square(tanh(dot(weights, x) + bias) - 0.9);  // (0.2)
  };
  Tensor loss = loss_of(w, b);
  loss.backward();

  Tensor y = tanh(dot(w, x) + b).detach();
  Tensor dz = 2 * (y - 0.9) * (1 - square(y));  // (0.3)
  Tensor difference = zeros({3}, f64);          // the definition, with a step of 1e-6
  for (int64_t i = 0; i < 3; ++i) {
    Tensor step = one_hot(full({}, i, i64), 3).to(f64) * 1e-6;
    NoGrad guard;
    difference.index_put_({i}, (loss_of(w + step, b) - loss_of(w - step, b)) / 2e-6);  // (0.4)
  }
  lesson.show("dL/dw by autograd", w.grad());
  lesson.show("dL/dw by hand", dz * x);
  lesson.show("dL/dw by differences", difference);
  lesson.expect("the neuron: autograd equals the hand", largest(w.grad() - dz * x), Below{1e-12});
  lesson.expect("the neuron: autograd equals central differences", largest(w.grad() - difference), Below{1e-8});
  lesson.expect("the neuron: dL/db equals the hand", largest(b.grad() - dz), Below{1e-12});
}

// The softmax layer, whose gradient every net below starts from.
void softmax_layer(Lesson& lesson, const Tensor& images, const Tensor& labels) {
  lesson.section("3. Cross entropy by hand",
                 R"(\frac{\partial}{\partial z_j} \big( -z_y + \log \sum_c e^{z_c} \big) = p_j - [j = y])");
  int64_t n = images.size(0);
  Tensor x = flatten(images, 1);                                                 // [n, pixels]
  Tensor w = (randn({10, x.size(1)}, lesson.options()) * 0.1).requires_grad_();  // [classes, pixels]
  Tensor loss = cross_entropy(linear(x, w), labels);
  loss.backward();
  Tensor p = softmax(linear(x, w), -1).detach();  // [n, classes]
  Tensor target = one_hot(labels, 10).to(lesson.options());
  Tensor by_hand = matmul((p - target).t(), x) / double(n);  // (0.7)
  lesson.show("dL/dW", by_hand);
  lesson.images("evidence", -by_hand.reshape({10, images.size(2), images.size(3)}),
                {.map = ColourMap::diverging,
                 .per_row = 5,
                 .caption = "The first step of each class's weights, -dL/dW: more weight where red, less where blue."},
                {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
  double bound = lesson.dtype() == f32 || lesson.dtype() == f64 ? 1e-6 : 1e-2;
  lesson.expect("the softmax layer: autograd equals the hand", largest(w.grad() - by_hand), Below{bound});
  Tensor wanted = -log(gather(p, 1, labels.unsqueeze(1))).mean();
  lesson.expect("the loss is the mean of -log p of the label", largest(loss.detach() - wanted), Below{10 * bound});
}

// What a net did on the way: losses per epoch, and accuracy on digits it never saw.
struct Learning {
  std::vector<double> epoch, train_loss, test_loss, accuracy;
  Tensor logits;  // of the test digits at the end, [n, classes]
};

double share_right(const Tensor& logits, const Tensor& labels) {
  return (argmax(logits, 1) == labels).to(f64).mean().item();
}

Learning train(Lesson& lesson, const std::string& name, Sequential& net, const TensorDataset& digits,
               const TensorDataset& test, int64_t epochs, double lr) {
  std::optional<Autocast> half;  // f16 and bf16 compute in halves, the parameters stay f32
  if (is_half(lesson.dtype())) half.emplace(lesson.dtype());
  DataLoader loader(digits, {.batch_size = 32, .shuffle = true, .seed = lesson.seed()});
  const int64_t batches = loader.num_batches();
  net.to(lesson.device()), net.to(is_half(lesson.dtype()) ? f32 : lesson.dtype());
  AdamW optimizer(net.parameters(), {.lr = lr, .weight_decay = 0.01});
  Scheduler schedule(optimizer, Cosine{.steps = epochs * batches, .warmup = batches});
  Progress progress = lesson.progress(name, epochs * batches);
  Learning out;
  while (loader.epoch() < epochs) {
    double sum = 0;
    net.train();
    for (const Batch& batch : loader) {
      Tensor loss = cross_entropy(net.forward(batch[0]), batch[1]);  // forward
      loss.backward();                                               // backward: every parameter's .grad
      optimizer.step();                                              // a step downhill
      optimizer.zero_grad();
      schedule.step();
      sum += loss.item();
      progress.step(fmt::format("loss {:.3f}", loss.item()));
    }
    NoGrad guard;
    net.eval();
    out.logits = net.forward(test.tensors()[0]);
    out.epoch.push_back(double(loader.epoch()));
    out.train_loss.push_back(sum / double(batches));
    out.test_loss.push_back(cross_entropy(out.logits, test.tensors()[1]).item());
    out.accuracy.push_back(100 * share_right(out.logits, test.tensors()[1]));
  }
  return out;
}

void confusion(Lesson& lesson, const Tensor& logits, const Tensor& images, const Tensor& truth) {
  lesson.section("6. What the MLP mistakes", R"(C_{ij} = \text{number of digits } i \text{ read as } j)");
  Tensor said = argmax(logits, 1);
  Tensor pairs = truth * 10 + said;
  Tensor counts =
      scatter_add(zeros({100}, lesson.device()), 0, pairs, ones(pairs.shape(), lesson.device())).reshape({10, 10});
  lesson.heatmap("confusion", counts,
                 {.x = "read as",
                  .y = "digit",
                  .map = ColourMap::heat,
                  .caption = "The diagonal is right; everything beside it is a mistake."});
  lesson.expect("each row adds up to the digits of its kind",
                equal(counts.sum({1}), one_hot(truth, 10).to(f32).sum({0})));
  lesson.expect("the diagonal over the whole is the accuracy",
                counts.diagonal().sum().item() / double(truth.size(0)) - share_right(logits, truth),
                Within{-1e-6, 1e-6});

  Tensor p = gather(softmax(logits.to(f32), 1), 1, truth.unsqueeze(1)).squeeze(1);  // of the right class
  Tensor hardest = argsort(p).slice(0, 0, 16);
  std::vector<int64_t> is = index_select(truth, 0, hardest).to_vector<int64_t>(),
                       read = index_select(said, 0, hardest).to_vector<int64_t>();
  std::vector<std::string> labels;
  for (size_t i = 0; i < is.size(); ++i) labels.push_back(fmt::format("{} as {}", is[i], read[i]));
  lesson.images("hardest", index_select(images, 0, hardest),
                {.per_row = 8, .caption = "The sixteen test digits it gave the lowest probability, and what it read."},
                labels);
}

}  // namespace

int main(int argc, char** argv) {
  Lesson lesson(argc, argv,
                {.note = "00",
                 .name = "00_first_steps",
                 .title = "First steps",
                 .about = "From a strided array to a net that reads handwriting, with every gradient checked.",
                 .full_time = "10 s"});
  int64_t epochs =
      lesson.option("epochs", Sizes{.full = 60, .quick = 30, .tiny = 1}, "passes over the training digits");
  double lr = lesson.option("lr", 3e-3, "learning rate", Number::positive),
         dropout = lesson.option("dropout", 0.4, "share of hidden values dropped in training", Number::share);
  std::string set = lesson.option("set", std::string("digits"), "first word of the IDX files: train for MNIST");
  TensorDataset read = lesson.checked("data", [&] { return read_digits(lesson, set); });
  tensors(lesson);
  one_neuron(lesson);

  Generator generator(0);  // the split stays the same, whatever --seed is
  Tensor order = randperm(read.size(), &generator);
  TensorDataset all({index_select(read.tensors()[0].to(lesson.options()), 0, order),
                     index_select(read.tensors()[1].to(lesson.device()), 0, order)});
  TensorDataset test = all.slice(0, all.size() / 5), training = all.slice(all.size() / 5, all.size());
  const int64_t height = all.tensors()[0].size(2), width = all.tensors()[0].size(3);
  softmax_layer(lesson, all.tensors()[0].slice(0, 0, 100), all.tensors()[1].slice(0, 0, 100));

  lesson.section("4. Digits", "x [n, 1, height, width],  label 0 .. 9",
                 "E. Alpaydin and C. Kaynak 1998, by way of scikit-learn");
  lesson.images("digits", training.tensors()[0].slice(0, 0, 24).squeeze(1),
                {.per_row = 12, .caption = "Handwritten digits of 8 x 8 pixels."});
  lesson.say(fmt::format("{} digits to learn from, {} kept apart for the test.", training.size(), test.size()));

  lesson.section("5. Two nets",
                 R"(\theta \leftarrow \theta - \eta \frac{\hat m}{\sqrt{\hat v} + \varepsilon} - \eta \lambda \theta)",
                 "Kingma & Ba 2015, alg. 1; Loshchilov & Hutter 2019, alg. 2");
  adam_step_by_step(lesson);
  Sequential mlp(Flatten(), Linear(height * width, 256), Relu(), Dropout(dropout), Linear(256, 10));
  Sequential conv(Conv2d({.in = 1, .out = 16, .kernel = 3, .padding = 1}), Relu(),
                  Conv2d({.in = 16, .out = 32, .kernel = 3, .padding = 1}), Relu(), MaxPool2d({.kernel = 2}), Flatten(),
                  Dropout(dropout), Linear(32 * (height / 2) * (width / 2), 10));
  lesson.listing(conv.summary());
  Learning a = train(lesson, "MLP", mlp, training, test, epochs, lr),
           b = train(lesson, "conv net", conv, training, test, epochs, lr);
  lesson.plot("loss",
              {{.name = "MLP, training", .x = a.epoch, .y = a.train_loss, .mark = Mark::dashed},
               {.name = "MLP, test", .x = a.epoch, .y = a.test_loss},
               {.name = "conv net, training", .x = b.epoch, .y = b.train_loss, .mark = Mark::dashed},
               {.name = "conv net, test", .x = b.epoch, .y = b.test_loss}},
              {.x = "epoch",
               .y = "cross entropy (nats)",
               .log_y = true,
               .caption = "Logarithmic. Training loss (with dropout) keeps falling; test loss settles."});
  lesson.plot(
      "accuracy", {{.name = "MLP", .x = a.epoch, .y = a.accuracy}, {.name = "conv net", .x = b.epoch, .y = b.accuracy}},
      {.x = "epoch",
       .y = "test accuracy (%)",
       .y_low = 90,
       .y_high = 100,
       .caption =
           "Of 359 digits that no net was trained on: one of them is 0.3 %. The first epochs lie below the frame."});
  lesson.expect("MLP: test accuracy in %", a.accuracy.back(), AtLeast{97}, Needs::training);
  lesson.expect("conv net: test accuracy in %", b.accuracy.back(), AtLeast{97}, Needs::training);
  lesson.value("MLP accuracy", a.accuracy.back(), "%");
  lesson.value("conv net accuracy", b.accuracy.back(), "%");
  lesson.images("weights", mlp.parameters()[0].detach().slice(0, 0, 24).reshape({24, height, width}),
                {.map = ColourMap::diverging,
                 .per_row = 12,
                 .caption = "What 24 of the MLP's 256 hidden units look for: ink where red, paper where blue."});

  confusion(lesson, a.logits, test.tensors()[0].squeeze(1), test.tensors()[1]);
  return lesson.finish();
}
