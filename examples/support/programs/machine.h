// What a machine offers a build, found by looking at files and variables; nothing here fails.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ink::lesson {

struct Finding {
  enum class Mark { ok, advice } mark;
  std::string what, value, advice;  // advice: what to do about it, empty if ok
};

std::string cpu_model();                                            // from /proc/cpuinfo, "unknown" elsewhere
int64_t memory_bytes(const char* key);                              // "MemTotal", "MemAvailable"; 0 if unknown
std::string first_existing(const std::vector<std::string>& paths);  // "" if none; a final * matches any ending
Finding blas_finding();
Finding core_type_finding();
Finding threads_finding();
Finding memory_finding();
Finding cuda_toolkit_finding();
Finding cuda_driver_finding();
Finding cuda_devices_finding();
Finding disk_finding(const std::string& folder);
std::vector<Finding> data_findings(const std::string& shipped);

}  // namespace ink::lesson
