#pragma once

#include <algorithm>
#include <array>

#include "nn/io/internal/cpp/writer.hpp"

namespace nn::cpp_out {

using Members = std::vector<std::pair<std::string, std::int64_t>>;

/// Sizes of a convolution, along depth, height and width each.
struct Extents {
  std::int64_t images, groups, in_channels, out_channels;
  std::array<std::int64_t, 3> in, out, kernel, stride, dilation, before;

  explicit Extents(const Call& call)
      : images(call.integer("sizes.images")),
        groups(call.integer("sizes.groups")),
        in_channels(call.integer("sizes.in_channels")),
        out_channels(call.integer("sizes.out_channels")) {
    const auto take = [&](auto& to, const char* name) {
      std::ranges::copy(call.list(std::string("sizes.") + name), to.begin());
    };
    take(in, "in"), take(out, "out"), take(kernel, "kernel"), take(stride, "stride");
    take(dilation, "dilation"), take(before, "before");
  }
  // What windows reach, from `before` on.
  std::int64_t padded(std::size_t d) const {
    return (out[d] - 1) * stride[d] + (kernel[d] - 1) * dilation[d] + 1;
  }
  bool is_padded() const {
    for (std::size_t d = 0; d < 3; ++d)
      if (before[d] != 0 || padded(d) > in[d]) return true;
    return false;
  }
  Members members() const {
    Members m{{"images", images},
              {"groups", groups},
              {"in_channels", in_channels},
              {"out_channels", out_channels},
              {"planes", images * groups * in_channels},
              {"plane", out[0] * out[1] * out[2]}};
    constexpr const char* kAxes[] = {"d", "h", "w"};
    const bool pads = is_padded();
    for (std::size_t d = 0; d < 3; ++d) {
      const auto add = [&](const char* name, std::int64_t value) {
        m.emplace_back(std::string(name) + "_" + kAxes[d], value);
      };
      const std::int64_t whole = pads ? std::max(padded(d), before[d]) : in[d];
      add("in", in[d]), add("out", out[d]), add("kernel", kernel[d]), add("stride", stride[d]);
      add("dilation", dilation[d]), add("before", before[d]), add("padded", whole);
      add("copied", std::min(in[d], whole - before[d]));
    }
    return m;
  }
};

/// The bias as an argument, or a null pointer.
std::string bias_of(const Call& call);
/// Whether a convolution is one of 3 x 3 whose weights are constants and so few that the cache holds
/// them: for Winograd's products.
bool suits_winograd(const Call& call, const Extents& e);
/// Writes such a one.
void by_winograd(const Call& call, const Extents& e);

}  // namespace nn::cpp_out
