// DataLoader: the examples of a dataset in batches, in a new order each epoch.
//
//   DataLoader loader(TensorDataset({images, labels}), {.batch_size = 64, .shuffle = true, .seed = 1});
//   while (loader.epoch() < 10)
//     for (const Batch& batch : loader) step(batch[0], batch[1]);
//
// The batches depend on the seed and on nothing else: not on threads, prefetching or interruptions.
#pragma once
#include <concepts>
#include <memory>
#include <string>
#include <utility>

#include "nn/data/dataset.h"
#include "nn/state.h"
#include "tensor/random.h"

namespace ink {

struct LoaderOptions {
  int64_t batch_size = 32;
  bool shuffle = false;
  bool drop_last = false;  // leave out a last batch that would be smaller
  bool prefetch = true;    // make the next batch on another thread while this one is in use
  uint64_t seed = 0;       // of the loader's own generator
};

class DataLoader {
 public:
  // ValueError for a batch size below 1.
  DataLoader(std::shared_ptr<const Dataset> dataset, LoaderOptions options = {});
  template <std::derived_from<Dataset> D>
  DataLoader(D dataset, LoaderOptions options = {})
      : DataLoader(std::make_shared<const D>(std::move(dataset)), options) {}
  ~DataLoader();
  DataLoader(DataLoader&&) noexcept;
  DataLoader& operator=(DataLoader&&) noexcept;

  const Dataset& dataset() const { return *dataset_; }
  int64_t num_batches() const;                    // in one epoch
  int64_t epoch() const { return epoch_; }        // counts up when the last batch of an epoch has been handed out
  int64_t position() const { return position_; }  // batches of this epoch handed out already

  // The next batch, of the next epoch after the last. ValueError if there are none.
  Batch next();

  // A loop is one whole epoch, also after one that was left early: the epoch that was left counts as done. The first
  // loop after load_state_dict finishes the epoch that was interrupted; so does next().
  class Iterator {
   public:
    const Batch& operator*() const { return batch_; }
    Iterator& operator++();
    bool operator!=(std::nullptr_t) const { return loader_ != nullptr; }

   private:
    friend class DataLoader;
    explicit Iterator(DataLoader* loader);
    DataLoader* loader_;
    int64_t epoch_;
    Batch batch_;
  };
  Iterator begin();
  std::nullptr_t end() const { return nullptr; }

  // Epoch, position and generator, as 0-dim and 1-dim i64 tensors. A loader of the same data and options that loads
  // them hands out the same batches from there on. ValueError if sizes or options differ or a name is missing; then
  // nothing is changed.
  NamedTensors state_dict() const;
  void load_state_dict(const NamedTensors& state) { prepare_state(state)->commit(); }
  PreparedState prepare_state(const NamedTensors& state);  // the first half: nothing is changed yet

 private:
  class Prefetcher;
  struct EndPrefetcher {
    void operator()(Prefetcher* p) const;
  };
  std::vector<int64_t> rows_at(int64_t position);  // the examples of a batch of this epoch
  void end_epoch();
  std::shared_ptr<const Dataset> dataset_;
  LoaderOptions options_;
  Generator generator_;          // as it was when the epoch began
  Generator::State next_epoch_;  // as it is once the epoch's order has been drawn
  Tensor order_;                 // the epoch's permutation; undefined until the first batch is asked for
  int64_t epoch_ = 0, position_ = 0;
  bool resumed_ = false;  // the position is that of a state loaded, whose epoch goes on
  std::unique_ptr<Prefetcher, EndPrefetcher> prefetcher_;
};

}  // namespace ink
