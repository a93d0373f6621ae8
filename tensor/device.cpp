#include "tensor/device.h"

#include <fmt/format.h>

#include "tensor/error.h"

namespace ink {

Device Device::parse(const std::string& text) {
  if (text == "cpu") return cpu();
  if (text == "cuda") return cuda(0);
  if (text.size() == 6 && text.rfind("cuda:", 0) == 0 && text[5] >= '0' && text[5] <= '9') return cuda(text[5] - '0');
  throw ValueError(fmt::format("device: unknown name; got '{}'; expected cpu, cuda or cuda:N", text));
}

std::string Device::str() const {
  if (is_cpu()) return "cpu";
  return fmt::format("cuda:{}", int(index));
}

}  // namespace ink
