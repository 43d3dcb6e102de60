#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/// Who sends what to whom, as numbers: what adds up gradients runs it, and what predicts its time
/// reads it.
namespace nn::distributed::detail {

/// [begin, end) of the elements.
struct Range {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
  std::size_t bytes(std::size_t element) const {
    return static_cast<std::size_t>(size()) * element;
  }
};

/// A message to a rank and one from it, at the same time.
struct Message {
  int partner;
  Range give, take;
  bool adds;  ///< what comes is added to what is there, or takes its place
};

/// The messages of a rank of 2ᵏ, each with one node of n elements: the halves of its range go to
/// its neighbour, then quarters to the neighbour's neighbour, which adds them as the tree does; the
/// sums go back the same way.
inline std::vector<Message> halving_and_doubling(int rank, int size, std::int64_t n) {
  std::vector<Message> messages;
  std::vector<Range> ranges{{0, n}};
  for (int d = 1; d < size; d *= 2) {
    const Range all = ranges.back();
    const std::int64_t middle = all.begin + all.size() / 2;
    const Range low{all.begin, middle}, high{middle, all.end};
    const bool left = (rank & d) == 0;
    messages.push_back({rank ^ d, left ? high : low, left ? low : high, true});
    ranges.push_back(left ? low : high);
  }
  for (int d = size / 2; d > 0; d /= 2) {
    const Range mine = ranges.back();
    ranges.pop_back();
    const Range all = ranges.back();
    const bool left = (rank & d) == 0;
    messages.push_back(
        {rank ^ d, mine, left ? Range{mine.end, all.end} : Range{all.begin, mine.begin}, false});
  }
  return messages;
}

}  // namespace nn::distributed::detail
