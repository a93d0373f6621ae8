#pragma once
namespace ink {
class Tensor;
}
