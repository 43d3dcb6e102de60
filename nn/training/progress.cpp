#include "nn/training/progress.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>

#include "autograd/core/errors.hpp"
#include "nn/io/files.hpp"
#include "nn/io/internal/replacement.hpp"

namespace nn {

namespace {

std::string clock_time(double seconds) {
  const auto s = std::llround(std::clamp(seconds, 0.0, 1e15));
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

constexpr std::array<std::string_view, 4> kColumns{"step", "samples", "loss", "seconds"};

// Quoted where a comma, a quote or the end of a line would be taken for one of the file.
std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

void replace(const std::string& path, const std::string& text) {
  detail::Replacement file(path);
  file.write(text);
  file.commit();
}

// Lines on terminals: each stands below the one of the same thread in whose loop it began.
struct Line {
  Progress* of;
  std::FILE* out;
  std::thread::id thread;
  bool shares(const Line& other) const { return out == other.out && thread == other.thread; }
};

class Lines {
 public:
  /// The one above the new line, if there is one.
  Progress* add(const Line& line) {
    const std::lock_guard lock(mutex_);
    const auto above =
        std::find_if(all_.rbegin(), all_.rend(), [&](const Line& l) { return l.shares(line); });
    Progress* const outer = above == all_.rend() ? nullptr : above->of;
    all_.push_back(line);
    return outer;
  }
  /// How many stand below a line; none if it has gone.
  std::optional<std::ptrdiff_t> below(const Progress* p) {
    const std::lock_guard lock(mutex_);
    const auto own = std::ranges::find(all_, p, &Line::of);
    if (own == all_.end()) return {};
    return std::count_if(own + 1, all_.end(), [&](const Line& l) { return l.shares(*own); });
  }
  /// A line within another goes with its loop, the others stay if they were drawn.
  void close(const Progress* p, bool drawn) {
    const std::lock_guard lock(mutex_);
    const auto own = std::ranges::find(all_, p, &Line::of);
    if (own == all_.end()) return;
    if (std::any_of(all_.begin(), own, [&](const Line& l) { return l.shares(*own); }))
      fmt::print(own->out, "\r\x1b[K\x1b[A");
    else if (drawn)
      std::fputc('\n', own->out);
    std::fflush(own->out);
    all_.erase(own);
  }

 private:
  std::mutex mutex_{};
  std::vector<Line> all_{};
};

Lines& lines() {
  static Lines& all = *new Lines;  // there may be a Progress that is destroyed after it
  return all;
}

}  // namespace

Progress::Progress(std::string title, std::int64_t steps, std::int64_t done, std::FILE* out)
    : title_(std::move(title)),
      steps_(std::max<std::int64_t>(steps, 0)),
      done_(std::max<std::int64_t>(done, 0)),
      resumed_(done_),
      out_(out),
      terminal_(out && isatty(fileno(out)) == 1) {
  if (!terminal_) return;
  if (Progress* const outer = lines().add({this, out_, std::this_thread::get_id()})) {
    outer->show();
    std::fputc('\n', out_);
  }
}

Progress::~Progress() {
  if (terminal_) lines().close(this, open_);
}

void Progress::step(std::int64_t samples, double loss) {
  ++done_;
  samples_ += samples;
  loss_ += loss * static_cast<double>(samples);
  const auto now = Clock::now();
  history_.push_back({done_, samples, loss, std::chrono::duration<double>(now - start_).count()});
  const auto pause = std::chrono::milliseconds(terminal_ ? 100 : 5000);
  if (out_ && (done_ >= steps_ || now - shown_ >= pause)) show();
}

void Progress::metric(const std::string& name, double value) {
  if (history_.empty())
    autograd::fail("progress", "metrics must follow a step, got {} before the first",
                   autograd::quoted(name));
  if (std::ranges::find(kColumns, name) != kColumns.end())
    autograd::fail("progress", "metrics must not have the name of a column, got {}", name);
  auto& metrics = history_.back().metrics;
  const auto known = std::ranges::find(metrics, name, &std::pair<std::string, double>::first);
  if (known == metrics.end())
    metrics.emplace_back(name, value);
  else
    known->second = value;
}

void Progress::save_csv(const std::string& path) const {
  detail::check_path(path);
  std::vector<std::string> names;
  for (const Point& p : history_)
    for (const auto& [name, value] : p.metrics)
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  std::string text = fmt::format("{}", fmt::join(kColumns, ","));
  for (const std::string& name : names) text += ',' + cell(name);
  for (const Point& p : history_) {
    text +=
        fmt::format("\n{},{},{},{}", p.step, p.samples, autograd::unsigned_nan(p.loss), p.seconds);
    for (const std::string& name : names) {
      const auto at = std::ranges::find(p.metrics, name, &std::pair<std::string, double>::first);
      text += ',';
      if (at != p.metrics.end()) text += fmt::format("{}", autograd::unsigned_nan(at->second));
    }
  }
  replace(path, text + '\n');
}

void Progress::save_jsonl(const std::string& path) const {
  detail::check_path(path);
  std::string text;
  for (const Point& p : history_) {
    nlohmann::ordered_json line{
        {"step", p.step}, {"samples", p.samples}, {"loss", p.loss}, {"seconds", p.seconds}};
    for (const auto& [name, value] : p.metrics) line[name] = value;
    text += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
  }
  replace(path, text);
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
  std::string text = left + right;
  if (auto end = static_cast<std::size_t>(width); width > 0 && text.size() > end) {
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text.resize(end);  // not within a character
  }
  return text;
}

void Progress::show() {
  shown_ = Clock::now();
  const std::string text = line(std::chrono::duration<double>(shown_ - start_).count(),
                                terminal_ ? columns(out_) - 1 : 0);
  const auto below = terminal_ ? lines().below(this) : std::nullopt;
  open_ = below.has_value();
  const auto move = [&](char way) {
    if (below.value_or(0) > 0) fmt::print(out_, "\x1b[{}{}", *below, way);
  };
  move('A');
  fmt::print(out_, "{}{}{}", terminal_ ? "\r" : "", text, terminal_ ? "\x1b[K" : "");
  move('B');
  if (!open_) std::fputc('\n', out_);
  std::fflush(out_);
  if (open_ && done_ >= steps_) lines().close(this, true);
}

}  // namespace nn
