// Kernels with a mistake, and what becomes of them: tests/kernels/test_sim.cpp, and one by one the program
// ink_broken_kernel.
#pragma once
#include <cstdint>
#include <vector>

struct Broken {
  const char* name;
  void (*run)();  // launches it on small arrays; CudaError, or AddressSanitizer ends the process
};
const std::vector<Broken>& broken_kernels();

// Kernels that run to the end with a result that depends on what it should not; the results' bits.
std::vector<uint32_t> unwritten_shared();
std::vector<uint32_t> copy_without_wait();
std::vector<uint32_t> missing_barrier();
std::vector<uint32_t> no_barrier_missing();
std::vector<uint32_t> block_order();
