#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {

// Convolution and pooling, of all elements in a row.
std::vector<Op> spatial() {
  return {
      PROGRAM_OP(
          2, filled(a) && filled(b),
          ag::conv1d(ag::reshape(a, {1, -1}), ag::reshape(b, {1, 1, -1}), {}, {.padding = "same"})),
      PROGRAM_OP(2, filled(a) && filled(b),
                 ag::conv2d(ag::reshape(a, {1, 1, -1}), ag::reshape(b, {1, 1, 1, -1}), {},
                            {.padding = "same", .dilation = 2})),
      PROGRAM_OP(2, filled(a) && filled(b),
                 ag::conv3d(ag::reshape(a, {1, -1, 1, 1}), ag::reshape(b, {1, 1, -1, 1, 1}), {},
                            {.padding = "same"})),
      PROGRAM_OP(2, filled(a) && filled(b) && a.numel() <= 20 && b.numel() <= 20,
                 ag::conv_transpose1d(ag::reshape(a, {1, -1}), ag::reshape(b, {1, 1, -1}), {},
                                      {.stride = 2})),
      PROGRAM_OP(2, filled(a) && filled(b) && a.numel() <= 20 && b.numel() <= 20,
                 ag::conv_transpose2d(ag::reshape(a, {1, 1, -1}), ag::reshape(b, {1, 1, 1, -1}))),
      PROGRAM_OP(
          2, filled(a) && filled(b) && a.numel() <= 20 && b.numel() <= 20,
          ag::conv_transpose3d(ag::reshape(a, {1, -1, 1, 1}), ag::reshape(b, {1, 1, -1, 1, 1}))),
      PROGRAM_OP(1, a.numel() > 1 && distinct(a),
                 ag::max_pool1d(ag::reshape(a, {1, -1}), 2, {.stride = 1})),
      PROGRAM_OP(1, a.numel() > 1 && distinct(a),
                 ag::max_pool2d(ag::reshape(a, {1, 1, -1}), {1, 2}, {.padding = {0, 1}})),
      PROGRAM_OP(1, a.numel() > 1 && distinct(a),
                 ag::max_pool3d(ag::reshape(a, {1, -1, 1, 1}), {2, 1, 1}, {.ceil_mode = true})),
      PROGRAM_OP(1, a.numel() > 1 && distinct(a),
                 ag::max_pool1d_with_indices(ag::reshape(a, {1, -1}), 2).values),
      PROGRAM_OP(1, a.numel() > 1 && distinct(a),
                 ag::max_pool2d_with_indices(ag::reshape(a, {1, 1, -1}), {1, 2}).values),
      PROGRAM_OP(1, a.numel() > 1 && distinct(a),
                 ag::max_pool3d_with_indices(ag::reshape(a, {1, -1, 1, 1}), {2, 1, 1}).values),
      PROGRAM_OP(1, filled(a),
                 ag::avg_pool1d(ag::reshape(a, {1, -1}), 2, {.stride = 1, .padding = 1})),
      PROGRAM_OP(1, filled(a),
                 ag::avg_pool2d(ag::reshape(a, {1, 1, -1}), {1, 3},
                                {.padding = {0, 1}, .count_include_pad = flag})),
      PROGRAM_OP(1, a.numel() > 1,
                 ag::avg_pool3d(ag::reshape(a, {1, -1, 1, 1}), {2, 1, 1}, {.ceil_mode = true})),
      PROGRAM_OP(1, filled(a), ag::adaptive_avg_pool1d(ag::reshape(a, {1, -1}), 3)),
      PROGRAM_OP(1, filled(a), ag::adaptive_avg_pool2d(ag::reshape(a, {1, 1, -1}), {1, 2})),
      PROGRAM_OP(1, filled(a), ag::adaptive_avg_pool3d(ag::reshape(a, {1, -1, 1, 1}), {2, 1, 1})),
      PROGRAM_OP(1, distinct(a), ag::adaptive_max_pool1d(ag::reshape(a, {1, -1}), 3)),
      PROGRAM_OP(1, distinct(a), ag::adaptive_max_pool2d(ag::reshape(a, {1, 1, -1}), {1, 2})),
      PROGRAM_OP(1, distinct(a), ag::adaptive_max_pool3d(ag::reshape(a, {1, -1, 1, 1}), {2, 1, 1})),
      PROGRAM_OP(1, distinct(a),
                 ag::adaptive_max_pool1d_with_indices(ag::reshape(a, {1, -1}), 2).values),
      PROGRAM_OP(1, distinct(a),
                 ag::adaptive_max_pool2d_with_indices(ag::reshape(a, {1, 1, -1}), {1, 2}).values),
      PROGRAM_OP(
          1, distinct(a),
          ag::adaptive_max_pool3d_with_indices(ag::reshape(a, {1, -1, 1, 1}), {2, 1, 1}).values),
  };
}

const Family spatial_lines(spatial);

}  // namespace programs
