// Devices by name, and the default one.
#include "tensor/device.h"

#include <fmt/format.h>

#include <cstdlib>

#include "tensor/error.h"
#include "tensor/utf8.h"

namespace ink {
namespace {
Device& this_threads() {
  thread_local Device device = [] {
    const char* name = std::getenv("INK_DEVICE");
    return name && *name ? Device::parse(name) : Device::cpu();
  }();
  return device;
}
}  // namespace

Device default_device() { return this_threads(); }
DefaultDevice::DefaultDevice(Device device) : before_(this_threads()) { this_threads() = device; }
DefaultDevice::~DefaultDevice() { this_threads() = before_; }

Device Device::parse(const std::string& text) {
  if (text == "cpu") return cpu();
  if (text == "cuda") return cuda(0);
  if (text.size() == 6 && text.rfind("cuda:", 0) == 0 && text[5] >= '0' && text[5] <= '9') return cuda(text[5] - '0');
  throw ValueError(fmt::format("device: unknown name; got '{}'; expected cpu, cuda or cuda:N", shown(text)));
}

std::string Device::str() const {
  if (is_cpu()) return "cpu";
  return fmt::format("cuda:{}", int(index));
}

}  // namespace ink
