// Tensor, declared only.
#pragma once
namespace ink {
class Tensor;
}
