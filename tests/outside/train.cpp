#include <inkstone/ink.h>

#include <cstdio>

int main() {
  using namespace ink;
  manual_seed(0);
  Tensor x = randn({256, 2});
  Tensor y = (x.select(1, 0) * x.select(1, 1)).unsqueeze(1);  // the product of two numbers
  Sequential net(Linear(2, 32), Tanh(), Linear(32, 1));
  Adam adam(net.parameters(), {.lr = 1e-2});
  for (int step = 0; step <= 500; ++step) {
    Tensor loss = mse_loss(net.forward(x), y);
    net.zero_grad();
    loss.backward();
    adam.step();
    if (step % 100 == 0) std::printf("step %3d  loss %.4f\n", step, loss.item());
  }
  return mse_loss(net.forward(x), y).item() < 0.05 ? 0 : 1;  // learned?
}
