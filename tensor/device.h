// Where a tensor's elements live.
#pragma once
#include <cstdint>
#include <string>

namespace ink {

struct Device {
  enum class Type : int8_t { cpu, cuda } type = Type::cpu;
  int8_t index = 0;

  static constexpr Device cpu() { return {}; }
  static constexpr Device cuda(int i = 0) { return {Type::cuda, int8_t(i)}; }
  // "cpu", "cuda", "cuda:1"; ValueError for anything else.
  static Device parse(const std::string& text);
  constexpr bool is_cpu() const { return type == Type::cpu; }
  constexpr bool is_cuda() const { return type == Type::cuda; }
  constexpr bool operator==(const Device&) const = default;
  std::string str() const;
};

template <class Stream> Stream& operator<<(Stream& s, Device device) {
  s << device.str();
  return s;
}

// Where tensors are made that no option places elsewhere: the CPU, or what INK_DEVICE names. Of this thread.
Device default_device();
// Sets it for a scope: `DefaultDevice guard(Device::cuda());`
class DefaultDevice {
 public:
  explicit DefaultDevice(Device device);
  ~DefaultDevice();
  DefaultDevice(const DefaultDevice&) = delete;
  DefaultDevice& operator=(const DefaultDevice&) = delete;

 private:
  Device before_;
};

}  // namespace ink
