#include "autograd/errors.hpp"

namespace autograd {
namespace {
thread_local const Location* innermost_location = nullptr;
}

void Error::set_layer(Layer layer) {
  layer_ = std::move(layer);
  text_ = layer_.path.empty()
              ? std::string()
              : fmt::format("{} ({}): {}", layer_.path, layer_.type, std::runtime_error::what());
}

Location::Location(const char* file, int line) noexcept
    : file_(file), line_(line), outer_(std::exchange(innermost_location, this)) {}
Location::~Location() { innermost_location = outer_; }

std::string Location::innermost() {
  const Location* w = innermost_location;
  return w ? fmt::format("{}:{}", w->file_, w->line_) : std::string();
}

void detail::throw_error(std::string text) {
  if (innermost_location) text += "; at " + Location::innermost();
  throw Error(text);
}

}  // namespace autograd
