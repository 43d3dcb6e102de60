#include "autograd/ops/neural/recurrent.hpp"

#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {
namespace {

// All elements as one sequence of single numbers.
Tensor sequence(const Tensor& x) { return ag::reshape(x, {-1, 1, 1}); }
bool is_short(const Tensor& x) { return x.numel() > 0 && x.numel() <= 8; }

// Weights of a layer of one number each, from the first elements of x.
ag::RecurrentWeights weights(const Tensor& x, std::int64_t gates) {
  const Tensor some = ag::sin(ag::expand(ag::narrow(ag::flatten(x), 0, 0, 1), {gates})) +
                      0.1 * ag::arange(gates).to(x.dtype());
  return {ag::unsqueeze(some, 1), ag::unsqueeze(1 - some, 1), some, 0.5 * some};
}

}  // namespace

// Recurrent layers, over all elements one after the other.
std::vector<Op> recurrent() {
  return {
      PROGRAM_OP(2, is_short(a) && filled(b),
                 ag::rnn_tanh(sequence(a), {}, weights(b, 1), {.reverse = flag}).output),
      PROGRAM_OP(
          2,
          is_short(a) && filled(b) && away(ag::rnn_relu(sequence(a), {}, weights(b, 1)).output, 0),
          ag::rnn_relu(sequence(a), {}, weights(b, 1)).h),
      PROGRAM_OP(2, is_short(a) && filled(b),
                 ag::lstm(sequence(a), {}, {}, weights(b, 4), {.reverse = flag}).c),
      PROGRAM_OP(2, is_short(a) && filled(b), ag::gru(sequence(a), {}, weights(b, 3)).output),
  };
}

const Family recurrent_lines(recurrent);

}  // namespace programs
