#include "autograd/tape/graph_svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "autograd/tape/internal/layered.hpp"
#include "autograd/tape/internal/picture.hpp"

// Each frame is laid out by itself and is a box of the frame around it; arrows enter it at its left edge
// and leave it at its right one.
namespace autograd::internal {
namespace {

constexpr double kLine = 15, kLetter = 6.8, kSide = 14, kTitle = 24;

double width_of(const std::string& text) { return static_cast<double>(text.size()) * kLetter + 20; }

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
  explicit Layout(const Picture& picture) : picture_(picture) {
    for (const Box& b : picture.boxes) lines.push_back(lines_of(b.label));
    for (const PictureFrame& f : picture.frames) parents_.push_back(f.parent);
    // Frames stand after those around them; the whole is the last level.
    levels.resize(picture.frames.size() + 1);
    for (std::size_t f = picture.frames.size(); f-- > 0;) arrange(f);
    arrange(kNoFrame);
    put(kNoFrame, {0, 0});
  }

  /// From the right edge of a box to the left edge of another.
  std::vector<Point> path(const Arrow& a) const {
    const std::size_t from = picture_.boxes[a.from].frame, to = picture_.boxes[a.to].frame,
                      shared = common(from, to);
    std::vector<Point> points{edge(a.from, 1)};
    for (std::size_t f = from; f != shared; f = parents_[f]) {
      pass(f, a.from, level(f).item_of.at({a.from, kOut}), points);
      cross(f, {a.from, kOut}, points);
    }
    pass(shared, a.from, item(shared, a.to), points);
    std::vector<std::size_t> inner;
    for (std::size_t f = to; f != shared; f = parents_[f]) inner.push_back(f);
    for (std::size_t k = inner.size(); k-- > 0;) {
      cross(inner[k], {a.from, kIn}, points);
      pass(inner[k], a.from, item(inner[k], a.to), points);
    }
    points.push_back(edge(a.to, -1));
    return points;
  }

  struct Level {
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> item_of{};
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> arrow_of{};  // box, item
    Layered inside{};
    Point corner{}, outer{};  // of what is inside, and of the frame
    double width = 0, height = 0;
  };
  const Level& level(std::size_t frame) const { return levels[place(frame)]; }
  /// The middle of a box.
  Point middle(std::size_t box) const {
    const Level& l = level(picture_.boxes[box].frame);
    const Layered::Item& i = l.inside.items[l.item_of.at({box, kBox})];
    return {l.corner.x + i.x, l.corner.y + i.y};
  }
  double width(std::size_t box) const {
    double widest = 0;
    for (const std::string& line : lines[box]) widest = std::max(widest, width_of(line));
    return widest;
  }
  double height(std::size_t box) const {
    return static_cast<double>(lines[box].size()) * kLine + 12;
  }

  std::vector<std::vector<std::string>> lines;
  std::vector<Level> levels;

 private:
  // What an item of a level is of: a box, a frame, or where arrows from a box enter or leave.
  enum Of : std::size_t { kBox, kFrame, kIn, kOut };

  std::size_t place(std::size_t frame) const {
    return frame == kNoFrame ? levels.size() - 1 : frame;
  }
  bool contains(std::size_t frame, std::size_t inner) const {
    while (inner != frame && inner != kNoFrame) inner = parents_[inner];
    return inner == frame;
  }
  std::size_t common(std::size_t a, std::size_t b) const {
    while (!contains(a, b)) a = parents_[a];
    return a;
  }
  // The item in which a box of this level stands.
  std::size_t item(std::size_t frame, std::size_t box) const {
    std::size_t f = picture_.boxes[box].frame;
    if (f == frame) return level(frame).item_of.at({box, kBox});
    while (parents_[f] != frame) f = parents_[f];
    return level(frame).item_of.at({f, kFrame});
  }

  void arrange(std::size_t frame) {
    Level& l = levels[place(frame)];
    std::vector<Layered::Item> items;
    const auto add = [&](std::size_t of, Of what, Layered::Item i) {
      if (l.item_of.emplace(std::pair{of, what}, items.size()).second) items.push_back(i);
      return l.item_of.at({of, what});
    };
    for (std::size_t b = 0; b < picture_.boxes.size(); ++b)
      if (picture_.boxes[b].frame == frame) add(b, kBox, {Layered::Item::box, width(b), height(b)});
    for (std::size_t f = 0; f < parents_.size(); ++f)
      if (parents_[f] == frame && !levels[f].item_of.empty())
        add(f, kFrame, {Layered::Item::box, levels[f].width, levels[f].height});
    std::vector<std::pair<std::size_t, std::size_t>> arrows;
    for (const Arrow& a : picture_.arrows) {
      const bool from_here = contains(frame, picture_.boxes[a.from].frame),
                 to_here = contains(frame, picture_.boxes[a.to].frame);
      if (!from_here && !to_here) continue;
      const std::size_t from = from_here ? item(frame, a.from)
                                         : add(a.from, kIn, {Layered::Item::entry, 0, 8}),
                        to = to_here ? item(frame, a.to)
                                     : add(a.from, kOut, {Layered::Item::exit, 0, 8});
      if (from != to && l.arrow_of.emplace(std::pair{a.from, to}, arrows.size()).second)
        arrows.emplace_back(from, to);
    }
    l.inside = Layered(std::move(items), arrows);
    l.width = l.inside.width, l.height = l.inside.height;
    if (frame == kNoFrame) return;
    l.width = std::max(l.width, width_of(picture_.frames[frame].title)) + 2 * kSide;
    l.height += kTitle + kSide;
  }

  void put(std::size_t frame, Point corner) {
    Level& l = levels[place(frame)];
    l.corner = l.outer = corner;
    if (frame != kNoFrame)
      l.corner = {corner.x + (l.width - l.inside.width) / 2, corner.y + kTitle};
    for (std::size_t f = 0; f < parents_.size(); ++f) {
      if (parents_[f] != frame || levels[f].item_of.empty()) continue;
      const Layered::Item& i = l.inside.items[l.item_of.at({f, kFrame})];
      put(f, {l.corner.x + i.x - i.width / 2, l.corner.y + i.y - i.height / 2});
    }
  }

  Point edge(std::size_t box, int side) const {
    const Point m = middle(box);
    return {m.x + side * width(box) / 2, m.y};
  }
  // Through the columns of a level, from where a box is to an item.
  void pass(std::size_t frame, std::size_t box, std::size_t to, std::vector<Point>& points) const {
    const Level& l = level(frame);
    for (const Point& p : l.inside.between[l.arrow_of.at({box, to})])
      points.push_back({l.corner.x + p.x, l.corner.y + p.y});
  }
  // Over the edge of a frame.
  void cross(std::size_t frame, std::pair<std::size_t, std::size_t> of,
             std::vector<Point>& points) const {
    const Level& l = level(frame);
    const Layered::Item& i = l.inside.items[l.item_of.at(of)];
    const double y = l.corner.y + i.y, x = l.corner.x + i.x;
    if (of.second == kIn)
      points.insert(points.end(), {{l.outer.x, y}, {x + i.width / 2, y}});
    else
      points.insert(points.end(), {{x - i.width / 2, y}, {l.outer.x + l.width, y}});
  }

  const Picture& picture_;
  std::vector<std::size_t> parents_;
};

// Curves that leave and arrive level.
std::string curve(const std::vector<Point>& points, double shift) {
  std::string d = fmt::format("M{:.1f} {:.1f}", points[0].x, points[0].y + shift);
  for (std::size_t k = 1; k < points.size(); ++k) {
    const double half = (points[k - 1].x + points[k].x) / 2, y = points[k].y + shift;
    d += fmt::format(" C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", half, points[k - 1].y + shift,
                     half, y, points[k].x, y);
  }
  return d;
}

std::string rectangle(std::string_view kind, Point corner, double width, double height) {
  return fmt::format(
      "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
      "rx=\"6\"/>\n",
      kind, corner.x, corner.y, width, height);
}

// For a drawing of this size.
std::string head(double width, double height) {
  constexpr double margin = 12;
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="{0} {0} {1:.0f} {2:.0f}" width="{1:.0f}" height="{2:.0f}" font-family="sans-serif" font-size="12">
<style>
rect {{ fill: #eef3fb; stroke: #456; }} .leaf {{ fill: #fdf3d8; }} .constant {{ fill: #fff; }}
.frame {{ fill: #8882; stroke: #888; }} .title {{ font-weight: bold; }}
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
      -margin, width + 2 * margin, height + 2 * margin);
}

std::string drawn(const Layout::Level& frame, const std::string& title) {
  return rectangle("frame", frame.outer, frame.width, frame.height) +
         fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                     frame.outer.x + 10, frame.outer.y + 16, escaped(title));
}

std::string drawn(const Arrow& a, const std::vector<Point>& points) {
  std::string text;
  if (a.back)
    text = fmt::format("<path class=\"back\" marker-start=\"url(#back)\" d=\"{}\"/>\n",
                       curve(points, 5));
  return text + fmt::format("<path marker-end=\"url(#ahead)\" d=\"{}\"/>\n",
                            curve(points, a.back ? -3 : 0));
}

std::string drawn(const Layout& l, std::size_t box, Box::Kind kind) {
  constexpr const char* classes[] = {"result", "leaf", "constant"};
  const Point m = l.middle(box);
  const double top = m.y - l.height(box) / 2;
  std::string text =
      rectangle(classes[kind], {m.x - l.width(box) / 2, top}, l.width(box), l.height(box));
  for (std::size_t i = 0; i < l.lines[box].size(); ++i)
    text +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", m.x,
                    top + 6 + kLine * (static_cast<double>(i) + 0.75), escaped(l.lines[box][i]));
  return text;
}

}  // namespace

std::string svg_of(const Picture& picture) {
  const Layout l(picture);
  std::string text = head(l.level(kNoFrame).width, l.level(kNoFrame).height);
  for (std::size_t f = 0; f < picture.frames.size(); ++f)
    if (!l.level(f).item_of.empty()) text += drawn(l.level(f), picture.frames[f].title);
  for (const Arrow& a : picture.arrows) text += drawn(a, l.path(a));
  for (std::size_t b = 0; b < picture.boxes.size(); ++b) text += drawn(l, b, picture.boxes[b].kind);
  return text + "</svg>\n";
}

}  // namespace autograd::internal
