// Appending in place where nobody else stands, by copy otherwise.
#include "nn/growing_rows.h"

#include <algorithm>

#include "autograd/graph/mode.h"
#include "autograd/ops.h"

namespace ink {
namespace {

constexpr int64_t kLeastCapacity = 64;

// Whether rows are the first ones of the memory.
bool looks_at(const Tensor& rows, const GrowingRows& ahead) {
  const Tensor& m = ahead.memory;
  return rows.shares_storage(m) && rows.storage_offset() == m.storage_offset() && rows.dtype() == m.dtype() &&
         rows.size(0) == m.size(0) && rows.size(1) == m.size(1) && rows.size(3) == m.size(3) &&
         rows.size(2) <= m.size(2) && rows.strides() == m.strides();
}
// Whether nobody but the caller has a handle on any of it.
bool alone(const Tensor& rows, const std::shared_ptr<GrowingRows>& ahead) {
  return ahead.use_count() == 1 && rows.impl()->refs == 1 && rows.impl()->storage->refs == 2;
}
// Takes `count` places behind rows for the caller alone, if they are free.
bool claim(const Tensor& rows, std::shared_ptr<GrowingRows>& ahead, int64_t count) {
  int64_t at = rows.size(2);
  if (count > ahead->memory.size(2) - at) return false;
  if (alone(rows, ahead)) ahead->used = at;  // after a rollback
  return ahead->used.compare_exchange_strong(at, at + count);
}

}  // namespace

void append_rows(Tensor& rows, std::shared_ptr<GrowingRows>& ahead, const Tensor& more) {
  if (grad_enabled()) {
    rows = rows.defined() ? cat({rows, more}, 2) : more;
    ahead.reset();
    return;
  }
  const int64_t before = rows.defined() ? rows.size(2) : 0, count = more.size(2);
  const bool fits = rows.defined() && rows.dtype() == more.dtype() && rows.device() == more.device() &&
                    rows.size(0) == more.size(0) && rows.size(1) == more.size(1) && rows.size(3) == more.size(3);
  if (rows.defined() && !fits) {  // cat promotes, or says what is wrong
    rows = cat({rows, more}, 2);
    ahead.reset();
    return;
  }
  if (!ahead || !rows.defined() || !looks_at(rows, *ahead) || !claim(rows, ahead, count)) {
    auto wider = std::make_shared<GrowingRows>();
    const int64_t capacity = std::max(kLeastCapacity, before + count + std::max(before, count));
    wider->memory = empty({more.size(0), more.size(1), capacity, more.size(3)}, {more.dtype(), more.device()});
    if (before > 0) narrow(wider->memory, 2, 0, before).copy_(rows);
    wider->used = before + count;
    ahead = std::move(wider);
  }
  narrow(ahead->memory, 2, before, count).copy_(more);
  rows = narrow(ahead->memory, 2, 0, before + count);
}

}  // namespace ink
