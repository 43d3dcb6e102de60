#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace nn {

/// Shows how a loop of known length goes: steps, mean loss, samples per second, time left. On a
/// terminal one line with a bar is redrawn ten times a second, below that of a loop around it;
/// elsewhere a plain line is printed every five seconds and at the end; without a stream nothing is.
/// Keeps what it was told, to be written as a table. For the thread of the loop, while that runs.
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
  /// One step: its number, counted from 1 with those made earlier, what `step()` was told, when, and
  /// what `metric()` was told after it.
  struct Point {
    std::int64_t step, samples;
    double loss, seconds;  ///< seconds since the progress was made
    std::vector<std::pair<std::string, double>> metrics{};
  };
  /// Some other number of the last step, such as an accuracy. Throws before the first step, and for
  /// the name of a column that is there: step, samples, loss, seconds.
  void metric(const std::string& name, double value);
  const std::vector<Point>& history() const { return history_; }
  /// The history with a line for each step: a column for each number, empty where a step has none;
  /// or an object of JSON, with null for what is not finite. An older file stays whole until the new
  /// one is complete. Throws, naming the file, where the system refuses.
  void save_csv(const std::string& path) const;
  void save_jsonl(const std::string& path) const;
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
  std::vector<Point> history_{};
};

}  // namespace nn

#pragma GCC visibility pop
