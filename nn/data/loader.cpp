// The loader: the order of an epoch, batches, one thread that prepares the next ones, a state to go on from.
#include "nn/data/loader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "autograd/ops.h"
#include "nn/state.h"

namespace ink {

// One thread that makes one batch ahead.
class DataLoader::Prefetcher {
 public:
  explicit Prefetcher(std::shared_ptr<const Dataset> dataset)
      : dataset_(std::move(dataset)), thread_([this] { run(); }) {}
  ~Prefetcher() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // In a child of fork() the thread is not there, and the lock may be held for ever.
  bool is_here() const { return process_ == getpid(); }

  void start(std::vector<int64_t> rows) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !busy_; });
      rows_ = std::move(rows);
      batch_.reset();
      error_ = nullptr;
      busy_ = true;
    }
    changed_.notify_all();
  }
  // The batch of these rows: the one made ahead if it is that one, else made now.
  Batch take(const std::vector<int64_t>& rows) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !busy_; });
    if (rows_ != rows || !(batch_ || error_)) return dataset_->batch(rows);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    Batch batch = std::move(*batch_);
    batch_.reset();
    return batch;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return busy_ || stopped_; });
      if (stopped_) return;
      lock.unlock();  // while busy, the rest belongs to this thread
      try {
        batch_ = dataset_->batch(rows_);
      } catch (...) { error_ = std::current_exception(); }
      lock.lock();
      busy_ = false;
      changed_.notify_all();
    }
  }

  const pid_t process_ = getpid();
  std::shared_ptr<const Dataset> dataset_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int64_t> rows_;
  std::optional<Batch> batch_;
  std::exception_ptr error_;
  bool busy_ = false, stopped_ = false;
  std::thread thread_;  // last: it starts when all of the above is there
};

void DataLoader::EndPrefetcher::operator()(Prefetcher* p) const {
  if (p->is_here()) delete p;
}

DataLoader::DataLoader(std::shared_ptr<const Dataset> dataset, LoaderOptions options)
    : dataset_(std::move(dataset)), options_(options), generator_(options.seed) {
  if (options.batch_size < 1)
    throw ValueError(fmt::format("DataLoader: batch_size; got {}; expected at least 1", options.batch_size));
  if (options.prefetch) prefetcher_.reset(new Prefetcher(dataset_));
}
DataLoader::~DataLoader() = default;
DataLoader::DataLoader(DataLoader&&) noexcept = default;
DataLoader& DataLoader::operator=(DataLoader&&) noexcept = default;

int64_t DataLoader::num_batches() const {
  int64_t n = dataset_->size(), b = options_.batch_size;
  return options_.drop_last ? n / b : n / b + (n % b != 0);
}

std::vector<int64_t> DataLoader::rows_at(int64_t position) {
  int64_t n = dataset_->size(), first = position * options_.batch_size;
  std::vector<int64_t> rows(size_t(std::min(options_.batch_size, n - first)));
  if (!options_.shuffle) {
    std::iota(rows.begin(), rows.end(), first);
    return rows;
  }
  if (!order_.defined()) {
    Generator g = generator_;
    DefaultDevice host(Device::cpu());
    order_ = randperm(n, &g);
    next_epoch_ = g.state;
  }
  std::copy_n(order_.data<int64_t>() + first, rows.size(), rows.begin());
  return rows;
}

Batch DataLoader::next() {
  if (num_batches() == 0)
    throw ValueError(fmt::format("DataLoader: no batches; got {} examples for batches of {}", dataset_->size(),
                                 options_.batch_size));
  if (prefetcher_ && !prefetcher_->is_here()) prefetcher_.reset(new Prefetcher(dataset_));
  std::vector<int64_t> rows = rows_at(position_);
  Batch batch = prefetcher_ ? prefetcher_->take(rows) : dataset_->batch(rows);
  if (++position_ < num_batches()) {
    if (prefetcher_) prefetcher_->start(rows_at(position_));
    return batch;
  }
  end_epoch();
  return batch;
}

void DataLoader::end_epoch() {
  if (options_.shuffle) {
    rows_at(0);  // draws the epoch's order if nothing has asked for it yet
    generator_.state = next_epoch_;
  }
  ++epoch_, position_ = 0, resumed_ = false;
  order_ = Tensor();
}

DataLoader::Iterator DataLoader::begin() {
  if (position_ > 0 && !resumed_) end_epoch();
  resumed_ = false;
  return Iterator(num_batches() > 0 ? this : nullptr);
}

DataLoader::Iterator::Iterator(DataLoader* loader) : loader_(loader), epoch_(loader ? loader->epoch_ : 0) {
  if (loader_) batch_ = loader_->next();
}
DataLoader::Iterator& DataLoader::Iterator::operator++() {
  batch_.clear();  // its memory may serve the next one
  if (loader_->epoch_ == epoch_)
    batch_ = loader_->next();
  else
    loader_ = nullptr;
  return *this;
}

NamedTensors DataLoader::state_dict() const {
  return {{"epoch", integer_state(epoch_)},
          {"position", integer_state(position_)},
          {"generator", generator_state(generator_)},
          {"size", integer_state(dataset_->size())},
          {"batch_size", integer_state(options_.batch_size)},
          {"shuffle", integer_state(options_.shuffle)},
          {"drop_last", integer_state(options_.drop_last)}};
}

PreparedState DataLoader::prepare_state(const NamedTensors& state) {
  int64_t size = state_integer(state, "size"), batch_size = state_integer(state, "batch_size");
  if (size != dataset_->size() || batch_size != options_.batch_size)
    throw ValueError(fmt::format(
        "DataLoader: the state is of other data; got {} examples in batches of {}; expected {} in batches of {}", size,
        batch_size, dataset_->size(), options_.batch_size));
  const int64_t shuffle = state_integer(state, "shuffle"), drop_last = state_integer(state, "drop_last");
  if (shuffle != options_.shuffle || drop_last != options_.drop_last)
    throw ValueError(
        fmt::format("DataLoader: the state is of other options; got shuffle {}, drop_last {}; expected {} and {}",
                    shuffle, drop_last, int(options_.shuffle), int(options_.drop_last)));
  int64_t epoch = state_steps(state, "epoch"), position = state_integer(state, "position");
  if (epoch < 0 || position < 0 || position > std::max<int64_t>(num_batches() - 1, 0))
    throw ValueError(fmt::format("DataLoader: no such place; got epoch {}, batch {}; expected a batch of 0 to {}",
                                 epoch, position, num_batches() - 1));
  return prepared_state([this, g = state_generator(state, "generator"), epoch, position] {
    generator_ = g;
    epoch_ = epoch, position_ = position, resumed_ = true;
    order_ = Tensor();
  });
}

}  // namespace ink
