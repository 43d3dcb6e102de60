#include "autograd/tape/graph_svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "autograd/tape/internal/picture.hpp"

// Boxes in columns, each right of all that it is made of; arrows over several columns get a place in
// each of them, so that they pass between boxes (Sugiyama, Tagawa and Toda 1981).
namespace autograd::internal {
namespace {

constexpr double kLine = 15, kLetter = 6.8, kGap = 22, kColumn = 60;

struct Place {
  const Box* box;  // null: where an arrow passes
  std::vector<std::string> lines{};
  std::size_t column = 0;
  double x = 0, y = 0, width = 0, height = 8;  // y of the middle
};

struct Route {
  std::vector<std::size_t> through;  // places
  bool back;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines{""};
  for (const char c : text)
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += c;
  return lines;
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text)
    result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return result;
}

class Layout {
 public:
  explicit Layout(const Picture& picture) {
    for (const Box& box : picture.boxes) {
      Place p{&box, lines_of(box.label)};
      for (const std::string& l : p.lines)
        p.width = std::max(p.width, static_cast<double>(l.size()) * kLetter + 20);
      p.height = static_cast<double>(p.lines.size()) * kLine + 12;
      places.push_back(p);
    }
    find_columns(picture);
    for (const Arrow& a : picture.arrows) route(a);
    columns.resize(1);
    for (const Place& p : places) columns.resize(std::max(columns.size(), p.column + 1));
    for (std::size_t i = 0; i < places.size(); ++i) columns[places[i].column].push_back(i);
    // Each column by the middle of what it comes from, then of what it goes to.
    stack();
    for (int sweep = 0; sweep < 6; ++sweep) order(sweep % 2 == 0);
    set_x();
  }

  std::vector<Place> places;
  std::vector<Route> routes;
  std::vector<std::vector<std::size_t>> columns;
  double width = 0, height = 0;

 private:
  void find_columns(const Picture& picture) {
    for (const Arrow& a : picture.arrows)
      places[a.to].column = std::max(places[a.to].column, places[a.from].column + 1);
    // What is not computed stands just before its first use.
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (places[i].column != 0) continue;
      std::size_t first = 0;
      for (const Arrow& a : picture.arrows)
        if (a.from == i && (first == 0 || places[a.to].column < first)) first = places[a.to].column;
      if (first > 0) places[i].column = first - 1;
    }
  }
  void route(const Arrow& a) {
    Route r{{a.from}, a.back};
    for (std::size_t c = places[a.from].column + 1; c < places[a.to].column; ++c) {
      r.through.push_back(places.size());
      places.push_back({nullptr, {}, c});
    }
    r.through.push_back(a.to);
    routes.push_back(r);
  }
  void stack() {
    for (const auto& column : columns) {
      double y = 0;
      for (const std::size_t i : column) {
        places[i].y = y + places[i].height / 2;
        y += places[i].height + kGap;
      }
      height = std::max(height, y);
    }
    for (const auto& column : columns) {
      double all = -kGap;
      for (const std::size_t i : column) all += places[i].height + kGap;
      for (const std::size_t i : column) places[i].y += (height - all) / 2;
    }
  }
  void order(bool forward) {
    std::vector<double> sum(places.size(), 0), count(places.size(), 0);
    for (const Route& r : routes)
      for (std::size_t k = 1; k < r.through.size(); ++k) {
        const std::size_t from = r.through[k - (forward ? 1 : 0)],
                          to = r.through[k - (forward ? 0 : 1)];
        sum[to] += places[from].y, count[to] += 1;
      }
    const auto middle = [&](std::size_t i) {
      return count[i] > 0 ? sum[i] / count[i] : places[i].y;
    };
    for (auto& column : columns)
      std::ranges::stable_sort(column, [&](auto i, auto j) { return middle(i) < middle(j); });
    stack();
  }
  void set_x() {
    for (const auto& column : columns) {
      double widest = 0;
      for (const std::size_t i : column) widest = std::max(widest, places[i].width);
      for (const std::size_t i : column) places[i].x = width + widest / 2;
      width += widest + kColumn;
    }
    width -= kColumn;
  }
};

// Curves that leave and arrive level.
std::string path(const Layout& l, const Route& r, double shift) {
  const auto x = [&](std::size_t k, bool left) {
    const Place& p = l.places[r.through[k]];
    return p.x + (left ? -1 : 1) * p.width / 2;
  };
  std::string d = fmt::format("M{:.1f} {:.1f}", x(0, false), l.places[r.through[0]].y + shift);
  for (std::size_t k = 1; k < r.through.size(); ++k) {
    const double from = x(k - 1, false), to = x(k, true), half = (from + to) / 2,
                 y = l.places[r.through[k]].y + shift;
    d += fmt::format(" C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", half,
                     l.places[r.through[k - 1]].y + shift, half, y, to, y);
  }
  return d;
}

}  // namespace

std::string svg_of(const Picture& picture) {
  const Layout l(picture);
  constexpr double margin = 12;
  std::string text = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="{0} {0} {1:.0f} {2:.0f}" width="{1:.0f}" height="{2:.0f}" font-family="sans-serif" font-size="12">
<style>
rect {{ fill: #eef3fb; stroke: #456; }} .leaf {{ fill: #fdf3d8; }} .constant {{ fill: #fff; }}
text {{ fill: #111; }} path {{ fill: none; stroke: #111; }} .back {{ stroke: #c04030; stroke-dasharray: 4 3; }}
marker path {{ fill: #111; stroke: none; }} #back path {{ fill: #c04030; }}
@media (prefers-color-scheme: dark) {{
rect {{ fill: #1f2a3a; stroke: #9ab; }} .leaf {{ fill: #3a321c; }} .constant {{ fill: #15171c; }}
text {{ fill: #eee; }} path {{ stroke: #ddd; }} marker path {{ fill: #ddd; }} .back {{ stroke: #f08070; }} #back path {{ fill: #f08070; }}
}}
</style>
<defs><marker id="ahead" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z"/></marker>
<marker id="back" viewBox="0 0 8 8" refX="0" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M8 0L0 4L8 8z"/></marker></defs>
)",
      -margin, l.width + 2 * margin, l.height + 2 * margin);
  for (const Route& r : l.routes) {
    if (r.back)
      text += fmt::format("<path class=\"back\" marker-start=\"url(#back)\" d=\"{}\"/>\n",
                          path(l, r, 5));
    text +=
        fmt::format("<path marker-end=\"url(#ahead)\" d=\"{}\"/>\n", path(l, r, r.back ? -3 : 0));
  }
  constexpr const char* classes[] = {"result", "leaf", "constant"};
  for (const Place& p : l.places) {
    if (!p.box) continue;
    text += fmt::format(
        "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
        "rx=\"6\"/>\n",
        classes[p.box->kind], p.x - p.width / 2, p.y - p.height / 2, p.width, p.height);
    for (std::size_t i = 0; i < p.lines.size(); ++i)
      text += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", p.x,
                          p.y - p.height / 2 + 6 + kLine * (static_cast<double>(i) + 0.75),
                          escaped(p.lines[i]));
  }
  return text + "</svg>\n";
}

}  // namespace autograd::internal
