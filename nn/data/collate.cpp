#include "nn/data/collate.hpp"

#include "autograd/ops/ops.hpp"

namespace nn::data {

ag::Tensor detail::stack_samples(const std::vector<ag::Tensor>& samples) {
  const ag::Tensor& first = samples.front();
  for (const ag::Tensor& t : samples) {
    if (t.defined() != first.defined())
      ag::fail("DataLoader",
               "samples must have the same tensors to make a batch, got one that is undefined in "
               "some");
    if (t.defined() && (t.shape() != first.shape() || t.dtype() != first.dtype()))
      ag::fail("DataLoader",
               "samples must have one shape and dtype to make a batch, got {} {} and {} {}; {} "
               "them, or give the data set a collate()",
               ag::name(first.dtype()), first.shape(), ag::name(t.dtype()), t.shape(),
               t.ndim() == 3 ? "resize, crop or pad" : "pad");
  }
  return first.defined() ? ag::stack(ag::TensorList(samples), 0) : ag::Tensor();
}

void detail::check_rows(const char* what, const ag::Tensor& batch, std::int64_t n) {
  if (batch.defined())
    check_rows(what, batch.ndim() > 0 ? static_cast<std::size_t>(batch.size(0)) : 0, n);
}

void detail::check_rows(const char* what, std::size_t rows, std::int64_t n) {
  if (rows != static_cast<std::size_t>(n))
    ag::fail("DataLoader", "{} must give one row for each of the {} samples, got {}", what, n,
             rows);
}

void detail::check_rows(const char* what, const data::Batch& batch, std::int64_t n) {
  if (!batch.x.defined())
    ag::fail("DataLoader", "{} must give a batch whose x is defined, got an undefined tensor",
             what);
  check_rows(what, batch.x, n);
  check_rows(what, batch.y, n);
}

std::int64_t detail::samples_to_load(const TensorDataset& data) {
  if (!data.x.defined() || data.size() == 0)
    ag::fail("DataLoader", "the data set must hold at least one row, got {}",
             data.x.defined() ? fmt::format("shape {}", data.x.shape()) : "an undefined x");
  return data.size();
}

}  // namespace nn::data
