#pragma once

#include <cstddef>
#include <utility>
#include <vector>

/// Boxes in columns, each right of all that it is made of; arrows over several columns get a place in
/// each of them, so that they pass between boxes (Sugiyama, Tagawa and Toda 1981). Internal.
namespace autograd::internal {

struct Point {
  double x, y;
};

struct Layered {
  /// A box, or where arrows pass an edge of the whole: in the first column, or in the last.
  struct Item {
    enum Kind { box, entry, exit, passage };
    Kind kind;
    double width = 0, height = 0;
    double x = 0, y = 0;  // of the middle
    std::size_t column = 0;
  };

  Layered() = default;
  /// Arrows lead from one item to another.
  Layered(std::vector<Item> boxes, const std::vector<std::pair<std::size_t, std::size_t>>& arrows);

  std::vector<Item> items{};
  /// Of each arrow: the points between its ends, two in each column.
  std::vector<std::vector<Point>> between{};
  double width = 0, height = 0;

 private:
  void find_columns(const std::vector<std::pair<std::size_t, std::size_t>>& arrows);
  void route(std::size_t from, std::size_t to);
  void stack();
  void order(bool forward);
  void set_x();

  std::vector<std::vector<std::size_t>> columns_{}, routes_{};
};

}  // namespace autograd::internal
