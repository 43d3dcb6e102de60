#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#pragma GCC visibility push(default)

namespace nn {

/// Shows how a loop of known length goes: steps, mean loss, samples per second, time left. On a
/// terminal one line with a bar is redrawn ten times a second; elsewhere a plain line is printed
/// every five seconds and at the end. For the thread of the loop, as long as that runs.
class Progress {
 public:
  /// `title` begins each line. `done` of the `steps` were made earlier, as in a resumed run.
  Progress(std::string title, std::int64_t steps, std::int64_t done = 0, std::FILE* out = stdout);
  /// Ends the line of a loop that was left early.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `steps` more follow in later loops: each line then says how long all that is left will take.
  void expect(std::int64_t steps) { later_ = steps; }
  /// Counts one step over `samples` samples. The loss shown is the mean over samples.
  void step(std::int64_t samples, double loss);
  /// The mean loss so far; 0 before the first step.
  double loss() const { return samples_ ? loss_ / static_cast<double>(samples_) : 0; }
  /// What is shown, in `width` columns; without a bar for width 0.
  std::string line(double seconds, int width = 0) const;

 private:
  using Clock = std::chrono::steady_clock;
  void show();

  std::string title_;
  std::int64_t steps_, done_, resumed_, samples_ = 0, later_ = 0;
  double loss_ = 0;
  std::FILE* out_;
  bool terminal_, open_ = false;
  Clock::time_point start_ = Clock::now(), shown_ = start_;
};

}  // namespace nn

#pragma GCC visibility pop
