// Memory under pressure: what is cached is given back by itself, and where there is none, whatever asks for it ends in
// a MemoryError with numbers.
#include <sys/resource.h>

#include <fstream>
#include <vector>

#include "autograd/ops.h"
#include "nn/data/text.h"
#include "tensor/allocator.h"
#include "tensor/io.h"
#include "tests/process/cases.h"
#include "tests/support/temporary.h"

using namespace ink;

namespace {

constexpr int64_t kMiB = int64_t(1) << 20;

int64_t pages_of_process(int column) {
  std::ifstream in("/proc/self/statm");
  int64_t n = 0;
  for (int i = 0; i <= column; ++i) in >> n;
  return n * sysconf(_SC_PAGESIZE);
}
int64_t resident() { return pages_of_process(1); }

// From now on the process may have so much more memory.
void leave(int64_t bytes) {
  rlimit limit{};
  limit.rlim_cur = limit.rlim_max = rlim_t(pages_of_process(0) + bytes);
  EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
}

template <class F> std::string error_of(F f) {
  try {
    f();
  } catch (const MemoryError& e) { return e.what(); } catch (const std::exception& e) {
    test::fail(std::string("no MemoryError: ") + e.what());
  }
  test::fail("no error");
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// Small blocks of one size, all free again, make room for others and for a large one.
void small_blocks_make_room() {
  leave(400 * kMiB);
  for (int64_t n : {10, 1000, 16000}) {
    std::vector<Tensor> small;
    for (int64_t i = 0; i * n * 4 < 200 * kMiB && i < 300000; ++i) small.push_back(empty({n}));
  }
  EXPECT(empty({250 * kMiB / 4}).numel() > 0);
  std::vector<Tensor> small;
  while (int64_t(small.size()) * 4096 < 250 * kMiB) small.push_back(empty({1024}));
}

void tiny_tensors() {
  std::vector<Tensor> all;
  all.reserve(10'000'000);
  leave(200 * kMiB);
  std::string e = error_of([&] {
    for (;;) all.push_back(ones({1}));
  });
  EXPECT(has(e, "not enough memory; got a request for") && has(e, "bytes live"));
  EXPECT(all.size() > 100'000);
  all.clear();
  EXPECT(ones({1000}).sum().item() == 1000);
}
void long_graph() {
  Tensor x = ones({1}).requires_grad_();
  leave(200 * kMiB);
  EXPECT(has(error_of([&] {
               for (;;) x = x * 1.5 + x;
             }),
             "not enough memory"));
  x = Tensor();
  Tensor w = ones({1}).requires_grad_();
  (w * 2).sum().backward();
  EXPECT(w.grad().item() == 2);
}
void large_tensor() {
  leave(200 * kMiB);
  EXPECT(has(error_of([] { ones({400 * kMiB}); }), "got a request for 1677721600 bytes (1.56 GiB) with"));
}

// A file of 300 MiB, most of it a hole.
std::string large_file(const test::TemporaryFolder& folder, const std::string& begin) {
  const std::string path = folder / "large";
  write_file_atomically(path, begin);
  std::filesystem::resize_file(path, 300 * kMiB);
  return path;
}
void readers() {
  test::TemporaryFolder folder;
  const std::string idx = large_file(folder, std::string("\0\0\x08\x01\x12\xbf\xff\xf8", 8));
  leave(150 * kMiB);
  for (auto f : {+[](const std::string& p) { (void)load_idx(p); }, +[](const std::string& p) { (void)read_file(p); },
                 +[](const std::string& p) { (void)read_unpacked(p); },
                 +[](const std::string& p) { (void)CharText::load(p); }}) {
    const std::string e = error_of([&] { f(idx); });
    EXPECT(has(e, "not enough memory to read it; got a file of 314572800 bytes"));
  }
}
void text_that_is_read_but_not_encoded() {  // ids take eight times the text
  test::TemporaryFolder folder;
  write_file_atomically(folder / "text", std::string(size_t(30 * kMiB), 'a'));
  leave(150 * kMiB);
  EXPECT(has(error_of([&] { CharText::load(folder / "text"); }), "not enough memory"));
}
void archive() {
  test::TemporaryFolder folder;
  save_npz(folder / "a", {{"x", ones({60 * kMiB / 4})}, {"y", ones({60 * kMiB / 4})}});
  cpu_allocator().release_cached();
  leave(100 * kMiB);
  EXPECT(has(error_of([&] { load_npz(folder / "a"); }), "not enough memory"));
}

// Objects of tensors and graphs lie in the C library: what they leave goes back too.
void release() {
  (void)ones({1});
  const int64_t before = resident();
  {
    std::vector<Tensor> all;
    Tensor x = ones({1}).requires_grad_();
    for (int i = 0; i < 300'000; ++i) all.push_back(x + 1);
    EXPECT(resident() - before > 100 * kMiB);
  }
  cpu_allocator().release_cached();
  EXPECT(resident() - before < 20 * kMiB);
}

}  // namespace

int main(int argc, char** argv) {
#ifdef __SANITIZE_ADDRESS__
  std::printf("AddressSanitizer takes terabytes of addresses: no limit can be set\n");
  return 77;
#endif
  constexpr test::Case cases[] = {{"small blocks make room", small_blocks_make_room},
                                  {"tiny tensors", tiny_tensors},
                                  {"long graph", long_graph},
                                  {"large tensor", large_tensor},
                                  {"readers", readers},
                                  {"text that is read but not encoded", text_that_is_read_but_not_encoded},
                                  {"archive", archive},
                                  {"release", release}};
  return test::run_cases(argc, argv, cases);
}
