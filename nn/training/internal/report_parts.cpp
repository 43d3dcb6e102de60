#include "nn/training/internal/report_parts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "nn/training/internal/axis.hpp"

namespace nn::detail {

std::string name_of(const std::vector<std::string>& names, std::int64_t i) {
  return names.empty() ? fmt::to_string(i) : names[static_cast<std::size_t>(i)];
}

void Norms::add(const GradientReport& report, std::int64_t step) {
  std::vector<std::string> now;
  std::vector<double> norms;
  for (const auto& row : report.rows) {
    now.push_back(row.name);
    const bool none =
        row.kind == GradientReport::Kind::missing || row.kind == GradientReport::Kind::frozen;
    norms.push_back(none ? -1 : row.nan + row.inf > 0 ? NAN : row.norm);
  }
  if (now != names) *this = Norms{.names = now};
  verdict = report.verdict();
  if (seen++ % every != 0) return;
  steps.push_back(step);
  columns.push_back(std::move(norms));
  if (columns.size() < kMost) return;
  for (std::size_t i = 1; i < kMost / 2; ++i)
    steps[i] = steps[2 * i], columns[i] = std::move(columns[2 * i]);
  steps.resize(kMost / 2), columns.resize(kMost / 2);
  every *= 2;
}

namespace {

// Blue below 1e-2, down to 1e-8; red above 1, up to 1e4; in between what a network wants.
std::string heat(double norm) {
  if (norm < 0) return "fill:none";
  if (!std::isfinite(norm)) return "fill:#d0f";
  if (norm == 0) return "fill:#000";
  const double at = std::log10(norm);
  if (at < -2) return fmt::format("fill:#26f;opacity:{:.2f}", std::clamp((-2 - at) / 6, 0.15, 1.0));
  if (at > 0) return fmt::format("fill:#e20;opacity:{:.2f}", std::clamp(at / 4, 0.15, 1.0));
  return "fill:#2a6;opacity:.35";
}

}  // namespace

std::string norms_section(const Norms& norms) {
  constexpr int kRow = 18, kNames = 170, kCells = 390, kNumbers = 80;
  const double cell = static_cast<double>(kCells) / static_cast<double>(norms.columns.size());
  std::string svg;
  for (std::size_t i = 0; i < norms.names.size(); ++i) {
    const int y = static_cast<int>(i) * kRow;
    std::string name = norms.names[i];
    constexpr std::size_t kLongest = 26;
    if (name.size() > kLongest) name = "…" + name.substr(name.size() - kLongest);
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", kNames - 6, y + 13,
                       escaped(name));
    for (std::size_t j = 0; j < norms.columns.size(); ++j) {
      const double norm = norms.columns[j][i];
      svg += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" style=\"{}\">"
          "<title>{} at {}: {}</title></rect>",
          kNames + cell * static_cast<double>(j), y, cell, kRow - 1, heat(norm),
          escaped(norms.names[i]), norms.steps[j], norm < 0 ? "none" : short_number(norm));
    }
    const double last = norms.columns.back()[i];
    svg += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>", kNames + kCells + 6, y + 13,
                       last < 0 ? "none" : short_number(last));
  }
  const int height = static_cast<int>(norms.names.size()) * kRow + 18;
  svg += fmt::format(
      "<text x=\"{}\" y=\"{}\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}"
      "</text>",
      kNames, height - 4, norms.steps.front(), kNames + kCells, height - 4, norms.steps.back());
  return fmt::format(
      "<h2>Norms of gradients</h2><figure class=\"heat\"><svg viewBox=\"0 0 {} {}\" "
      "role=\"img\">{}</svg>"
      "<figcaption>Each parameter over the steps, and its last norm. Green 0.01 to 1; blue below, "
      "down to 1e-8: vanishing; red above, up to 10,000: exploding; magenta NaN or Inf; black zero."
      "</figcaption><pre class=\"scroll\">{}</pre></figure>\n",
      kNames + kCells + kNumbers, height, svg, escaped(norms.verdict));
}

namespace {

// The pairs that are taken for each other most often.
std::string worst_pairs(const Confusion& c) {
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
  for (std::int64_t i = 0; i < c.classes; ++i)
    for (std::int64_t j = 0; j < c.classes; ++j)
      if (i != j && c.at(i, j) > 0) pairs.emplace_back(i, j);
  if (pairs.empty()) return {};
  const auto n = static_cast<std::ptrdiff_t>(std::min<std::size_t>(pairs.size(), 12));
  std::partial_sort(pairs.begin(), pairs.begin() + n, pairs.end(), [&](auto a, auto b) {
    const auto x = c.at(a.first, a.second), y = c.at(b.first, b.second);
    return x != y ? x > y : a < b;
  });
  std::string out = "<table><tr><th>label</th><th>taken for</th><th>times</th></tr>";
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    const auto [i, j] = pairs[static_cast<std::size_t>(k)];
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", escaped(name_of(c.names, i)),
                       escaped(name_of(c.names, j)), c.at(i, j));
  }
  return out + "</table>";
}

}  // namespace

std::string confusion_section(const std::string& title, const Confusion& c) {
  constexpr std::int64_t kDrawn = 30;
  std::string table;
  if (c.classes <= kDrawn) {
    table = "<table><tr><th>label \\ predicted</th>";
    for (std::int64_t j = 0; j < c.classes; ++j)
      table += fmt::format("<th>{}</th>", escaped(name_of(c.names, j)));
    table += "</tr>";
    for (std::int64_t i = 0; i < c.classes; ++i) {
      std::int64_t total = 0;
      for (std::int64_t j = 0; j < c.classes; ++j) total += c.at(i, j);
      table += fmt::format("<tr><th>{}</th>", escaped(name_of(c.names, i)));
      for (std::int64_t j = 0; j < c.classes; ++j) {
        const double share =
            total ? static_cast<double>(c.at(i, j)) / static_cast<double>(total) : 0;
        table += fmt::format(
            "<td style=\"background:color-mix(in srgb,var(--c{}) {:.0f}%,transparent)\">{}</td>",
            i == j ? 2 : 1, 70 * share, c.at(i, j));
      }
      table += "</tr>";
    }
    table += "</table>";
  }
  std::int64_t right = 0, all = 0;
  for (std::int64_t i = 0; i < c.classes; ++i)
    for (std::int64_t j = 0; j < c.classes; ++j)
      all += c.at(i, j), right += i == j ? c.at(i, j) : 0;
  return fmt::format(
      "<h2>{}</h2><p class=\"pale\">{} of {} right{}</p><div class=\"scroll\">{}</div>{}\n",
      escaped(title), right, all,
      all ? fmt::format(", {:.2f} %", 100.0 * static_cast<double>(right) / static_cast<double>(all))
          : "",
      table, worst_pairs(c));
}

std::string pictures_section(const std::string& title, const Pictures& pictures) {
  if (pictures.urls.empty())
    return fmt::format("<h2>{}</h2><p class=\"pale\">None.</p>\n", escaped(title));
  std::string out = fmt::format("<h2>{}</h2><div class=\"pictures\">", escaped(title));
  for (std::size_t i = 0; i < pictures.urls.size(); ++i) {
    const std::string caption = pictures.captions.empty() ? "" : escaped(pictures.captions[i]);
    out += fmt::format("<figure><img src=\"{}\" alt=\"{}\"><figcaption>{}</figcaption></figure>",
                       pictures.urls[i], caption, caption);
  }
  return out + "</div>\n";
}

}  // namespace nn::detail
