// A data set whose get() is not const: a loader with threads could not call it.
#include "nn/data/dataloader.hpp"

struct Counting {
  std::int64_t read = 0;
  std::int64_t size() const { return 3; }
  std::int64_t get(std::int64_t i) { return read += i; }
};

int main() { nn::data::DataLoader loader(Counting{}, {.batch_size = 2}); }
