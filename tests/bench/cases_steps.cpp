#include "inkstone/ink.h"
#include "tests/bench/bench.h"

namespace bench {

using namespace ink;

namespace {

struct UNet : Module {  // c, 2c, 4c channels over three resolutions
  static Sequential block(int64_t in, int64_t out) {
    return Sequential(Conv2d({.in = in, .out = out, .kernel = 3, .padding = 1}), GroupNorm(8, out), Silu(),
                      Conv2d({.in = out, .out = out, .kernel = 3, .padding = 1}), GroupNorm(8, out), Silu());
  }
  Sequential down1, down2, middle, out2, out1;
  ConvTranspose2d up2, up1;
  Conv2d head;
  explicit UNet(int64_t c)
      : down1(block(1, c)),
        down2(block(c, 2 * c)),
        middle(block(2 * c, 4 * c)),
        out2(block(4 * c, 2 * c)),
        out1(block(2 * c, c)),
        up2({.in = 4 * c, .out = 2 * c, .kernel = 2, .stride = 2}),
        up1({.in = 2 * c, .out = c, .kernel = 2, .stride = 2}),
        head({.in = c, .out = 1, .kernel = 1}) {}
  Tensor forward(const Tensor& x) {
    Tensor a = down1.forward(x), b = down2.forward(avg_pool2d(a, {.kernel = 2})),
           m = middle.forward(avg_pool2d(b, {.kernel = 2}));
    Tensor y = out2.forward(cat({up2.forward(m), b}, 1));
    return head.forward(out1.forward(cat({up1.forward(y), a}, 1)));
  }
  void fields(Fields& f) override {
    f("down1", down1)("down2", down2)("middle", middle)("up2", up2)("up1", up1)("out2", out2)("out1", out1)("head",
                                                                                                            head);
  }
};

template <class M>
void add(std::vector<Case>& cases, const std::string& name, double flop, double wanted,
         std::function<std::shared_ptr<M>()> make, std::function<std::function<Tensor(M&)>()> make_loss) {
  cases.push_back({"train step " + name, flop, 0,
                   [=] {
                     auto model = make();
                     auto loss = make_loss();
                     auto opt =
                         std::make_shared<AdamW>(model->parameters(), AdamWOptions{.lr = 1e-3, .weight_decay = 0.01});
                     return Body([=] {
                       opt->zero_grad();
                       loss(*model).backward();
                       opt->step();
                     });
                   },
                   wanted});
  cases.push_back({"forward only " + name, flop / 3, 0,
                   [=] {
                     auto model = make();
                     auto loss = make_loss();
                     return Body([=] {
                       NoGrad guard;
                       loss(*model);
                     });
                   },
                   0});
}

}  // namespace

std::vector<Case> step_cases() {
  std::vector<Case> cases;
  add<Sequential>(
      cases, "MLP 784-512-512-10 b128", 6. * 128 * (784 * 512 + 512 * 512 + 512 * 10), 1.4,
      [] { return std::make_shared<Sequential>(Linear(784, 512), Relu(), Linear(512, 512), Relu(), Linear(512, 10)); },
      [] {
        Tensor x = rand({128, 784}), y = randint(0, 10, {128});
        return [=](Sequential& m) { return cross_entropy(m.forward(x), y); };
      });
  add<GPT>(
      cases, "GPT L4 d128 h4 T256 B8 V96",
      6. * 2048 * (4 * 12 * 128 * 128 + 128 * 96) + 3. * 4 * 4 * 8 * 256 * 256 * 128, 1.5,
      [] { return std::make_shared<GPT>(GPTOptions{.vocabulary = 96, .context = 256}); },
      [] {
        Tensor x = randint(0, 96, {8, 256}), y = randint(0, 96, {2048});
        return [=](GPT& m) { return cross_entropy(m.forward(x).reshape({2048, 96}), y); };
      });
  add<Sequential>(
      cases, "LeNet-like conv net b64", 6. * 64 * (9 * 32 * 784 + 9. * 32 * 64 * 196 + 64 * 49 * 128 + 1280), 1,
      [] {
        return std::make_shared<Sequential>(Conv2d({.in = 1, .out = 32, .kernel = 3, .padding = 1}), Relu(),
                                            MaxPool2d({.kernel = 2}),
                                            Conv2d({.in = 32, .out = 64, .kernel = 3, .padding = 1}), Relu(),
                                            MaxPool2d({.kernel = 2}), Flatten(), Linear(64 * 49, 128), Relu(),
                                            Linear(128, 10));
      },
      [] {
        Tensor x = rand({64, 1, 28, 28}), y = randint(0, 10, {64});
        return [=](Sequential& m) { return cross_entropy(m.forward(x), y); };
      });
  double c = 32, unet = 9 * 784 * (c + c * c + 2 * c * c + c * c) + 784 * c +
                        9 * 196 * (2 * c * c + 4 * c * c + 8 * c * c + 4 * c * c) + 9 * 49 * (8 * c * c + 16 * c * c) +
                        49 * 4 * 8 * c * c + 196 * 4 * 2 * c * c;
  add<UNet>(
      cases, "U-Net c32 28x28 b16", 6 * 16 * unet, 1, [] { return std::make_shared<UNet>(32); },
      [] {
        Tensor x = rand({16, 1, 28, 28});
        return [=](UNet& m) { return mse_loss(m.forward(x), x); };
      });
  return cases;
}

}  // namespace bench
