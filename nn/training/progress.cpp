#include "nn/training/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "autograd/core/errors.hpp"

namespace nn {

namespace {

std::string clock_time(double seconds) {
  const auto s = std::llround(seconds);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string bar(double fraction, int width) {
  const int filled = static_cast<int>(fraction * width);
  std::string text(static_cast<std::size_t>(filled), '=');
  if (filled < width) text += '>';
  text.resize(static_cast<std::size_t>(width), ' ');
  return '[' + text + ']';
}

int columns(std::FILE* out) {
  winsize size{};
  const bool known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

}  // namespace

Progress::Progress(std::string title, std::int64_t steps, std::int64_t done, std::FILE* out)
    : title_(std::move(title)),
      steps_(std::max<std::int64_t>(steps, 0)),
      done_(std::max<std::int64_t>(done, 0)),
      resumed_(done_),
      out_(out),
      terminal_(isatty(fileno(out)) == 1) {}

Progress::~Progress() {
  if (!open_) return;
  std::fputc('\n', out_);
  std::fflush(out_);
}

void Progress::step(std::int64_t samples, double loss) {
  ++done_;
  samples_ += samples;
  loss_ += loss * static_cast<double>(samples);
  const auto pause = std::chrono::milliseconds(terminal_ ? 100 : 5000);
  if (done_ >= steps_ || Clock::now() - shown_ >= pause) show();
}

std::string Progress::line(double seconds, int width) const {
  std::string left = title_ + ' ';
  std::string right =
      fmt::format(" {}/{}  loss {:.4f}", done_, steps_, autograd::unsigned_nan(loss()));
  if (seconds > 0 && samples_ > 0) {
    right += fmt::format("  {:.0f} samples/s", static_cast<double>(samples_) / seconds);
    const auto steps = static_cast<double>(done_ - resumed_);
    const double remaining = seconds / steps * static_cast<double>(steps_ - done_);
    right += done_ < steps_ ? fmt::format("  {} left", clock_time(remaining))
                            : fmt::format("  {} taken", clock_time(seconds));
    if (later_ > 0)
      right += fmt::format(", {} to go in all",
                           clock_time(remaining + seconds / steps * static_cast<double>(later_)));
  }
  const int room = width - static_cast<int>(left.size() + right.size()) - 2;
  const double fraction = steps_ ? static_cast<double>(done_) / static_cast<double>(steps_) : 1;
  if (room >= 5) left += bar(std::min(fraction, 1.0), std::min(room, 40));
  const std::string text = left + right;
  return width > 0 ? text.substr(0, static_cast<std::size_t>(width)) : text;
}

void Progress::show() {
  shown_ = Clock::now();
  const std::string text = line(std::chrono::duration<double>(shown_ - start_).count(),
                                terminal_ ? columns(out_) - 1 : 0);
  open_ = terminal_ && done_ < steps_;
  fmt::print(out_, "{}{}{}", terminal_ ? "\r" : "", text, terminal_ ? "\x1b[K" : "");
  if (!open_) std::fputc('\n', out_);
  std::fflush(out_);
}

}  // namespace nn
