#include "nn/layers/upsample.hpp"

#include <fmt/format.h>

#include "nn/module/options.hpp"

namespace nn {

Upsample::Upsample(const ag::InterpolateOptions& options) : options_(options) {
  if (options.size.empty() == options.scale_factor.empty())
    ag::fail("Upsample", "needs either size or scale_factor, got {}",
             options.size.empty() ? "neither" : "both");
}

std::string Upsample::extra_repr() const {
  std::string text;
  if (!options_.size.empty()) {
    text = detail::OptionsText::of("size", options_.size);
  } else {
    for (const double factor : options_.scale_factor)
      text += (text.empty() ? "" : ", ") + repr(factor);
    text =
        options_.scale_factor.size() == 1 ? "scale_factor=" + text : "scale_factor=(" + text + ")";
  }
  return fmt::format("{}, mode='{}'", text, name(options_.mode));
}

}  // namespace nn
