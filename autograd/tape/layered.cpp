#include "autograd/tape/internal/layered.hpp"

#include <algorithm>

namespace autograd::internal {
namespace {

constexpr double kGap = 22, kColumn = 60, kPassage = 8;

}  // namespace

Layered::Layered(std::vector<Item> boxes,
                 const std::vector<std::pair<std::size_t, std::size_t>>& arrows)
    : items(std::move(boxes)) {
  find_columns(arrows);
  for (const auto& [from, to] : arrows) route(from, to);
  columns_.resize(1);
  for (const Item& i : items) columns_.resize(std::max(columns_.size(), i.column + 1));
  for (std::size_t i = 0; i < items.size(); ++i) columns_[items[i].column].push_back(i);
  // Each column by the middle of what it comes from, then of what it goes to.
  stack();
  for (int sweep = 0; sweep < 6; ++sweep) order(sweep % 2 == 0);
  set_x();
  for (const auto& r : routes_) {
    between.emplace_back();
    for (std::size_t k = 1; k + 1 < r.size(); ++k)
      for (const int side : {-1, 1}) {
        const Item& i = items[r[k]];
        between.back().push_back({i.x + side * i.width / 2, i.y});
      }
  }
}

void Layered::find_columns(const std::vector<std::pair<std::size_t, std::size_t>>& arrows) {
  // Parts may depend on one another in a circle: then it ends, and some arrows lead back.
  bool moved = true;
  for (std::size_t pass = 0; moved && pass < items.size(); ++pass) {
    moved = false;
    for (const auto& [from, to] : arrows)
      if (items[to].column <= items[from].column && items[from].column < items.size())
        items[to].column = items[from].column + 1, moved = true;
  }
  std::size_t last = 0;
  for (const Item& i : items) last = std::max(last, i.column);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].kind == Item::exit) items[i].column = last;
    // What is not computed stands just before its first use.
    if (items[i].column != 0 || items[i].kind != Item::box) continue;
    std::size_t first = 0;
    for (const auto& [from, to] : arrows)
      if (from == i && (first == 0 || items[to].column < first)) first = items[to].column;
    if (first > 0) items[i].column = first - 1;
  }
}

void Layered::route(std::size_t from, std::size_t to) {
  std::vector<std::size_t> through{from};
  for (std::size_t c = items[from].column + 1; c < items[to].column; ++c) {
    through.push_back(items.size());
    items.push_back({Item::passage, 0, kPassage, 0, 0, c});
  }
  through.push_back(to);
  routes_.push_back(through);
}

void Layered::stack() {
  for (const auto& column : columns_) {
    double y = 0;
    for (const std::size_t i : column) {
      items[i].y = y + items[i].height / 2;
      y += items[i].height + kGap;
    }
    height = std::max(height, y - kGap);
  }
  for (const auto& column : columns_) {
    double all = -kGap;
    for (const std::size_t i : column) all += items[i].height + kGap;
    for (const std::size_t i : column) items[i].y += (height - all) / 2;
  }
}

void Layered::order(bool forward) {
  std::vector<double> sum(items.size(), 0), count(items.size(), 0);
  for (const auto& r : routes_)
    for (std::size_t k = 1; k < r.size(); ++k) {
      const std::size_t from = r[k - (forward ? 1 : 0)], to = r[k - (forward ? 0 : 1)];
      sum[to] += items[from].y, count[to] += 1;
    }
  const auto middle = [&](std::size_t i) { return count[i] > 0 ? sum[i] / count[i] : items[i].y; };
  for (auto& column : columns_)
    std::ranges::stable_sort(column, [&](auto i, auto j) { return middle(i) < middle(j); });
  stack();
}

void Layered::set_x() {
  for (const auto& column : columns_) {
    double widest = 0;
    for (const std::size_t i : column) widest = std::max(widest, items[i].width);
    for (const std::size_t i : column) {
      items[i].x = width + widest / 2;
      if (items[i].kind != Item::box) items[i].width = widest;  // level past the boxes
    }
    width += widest + kColumn;
  }
  width -= kColumn;
}

}  // namespace autograd::internal
