#include "nn/layers/positional_encoding.hpp"

#include "autograd/ops/neural/positions.hpp"
#include "autograd/ops/ops.hpp"

namespace nn {

PositionalEncoding::PositionalEncoding(std::int64_t d_model,
                                       const PositionalEncodingOptions& options)
    : dropout(options.dropout), batch_first_(options.batch_first) {
  if (d_model < 1 || options.max_len < 1)
    ag::fail("positional_encoding", "d_model and max_len must be at least 1, got {} and {}",
             d_model, options.max_len);
  pe = Buffer(ag::sinusoidal_positions(options.max_len, d_model));
}

ag::Tensor PositionalEncoding::forward(const ag::Tensor& x,
                                       const PositionalEncodingCall& options) const {
  const bool rows = x.ndim() == 3 && !batch_first_;  // positions on the first of three axes
  if ((x.ndim() != 2 && x.ndim() != 3) || x.size(-1) != pe.size(1))
    ag::fail("positional_encoding", "x must be (length, n, {0}) or (length, {0}), got shape {1}",
             pe.size(1), x.shape());
  const std::int64_t length = x.size(rows ? 0 : -2);
  if (options.offset < 0 || options.offset > pe.size(0) - length)
    ag::fail("positional_encoding", "positions must be in [0, {}], got {} from {} on",
             pe.size(0) - 1, length, options.offset);
  const ag::Tensor here = ag::narrow(pe, 0, options.offset, length);
  return dropout(x + (rows ? ag::unsqueeze(here, 1) : here));
}

std::string PositionalEncoding::extra_repr() const {
  return fmt::format("d_model={}, max_len={}", pe.size(1), pe.size(0));
}

}  // namespace nn
