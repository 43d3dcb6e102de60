#include "nn/training/report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>
#include <utility>

#include "autograd/core/cpu.hpp"
#include "autograd/core/version.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/data/readers/image_file.hpp"
#include "nn/io/internal/json.hpp"
#include "nn/io/internal/replacement.hpp"
#include "nn/losses/losses.hpp"
#include "nn/training/gradient_report.hpp"
#include "nn/training/internal/axis.hpp"
#include "nn/training/internal/held.hpp"
#include "nn/training/internal/pictures.hpp"
#include "nn/training/internal/report_page.hpp"
#include "nn/training/internal/report_parts.hpp"

namespace nn {

namespace {

using namespace detail;

constexpr std::string_view kType = "TrainingReport";

// Sections in the order in which they came, by title.
template <class T>
class Titled {
 public:
  T& operator[](std::string_view title) {
    for (auto& [name, value] : all_)
      if (name == title) return value;
    return all_.emplace_back(title, T{}).second;
  }
  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }
  bool empty() const { return all_.empty(); }

 private:
  std::vector<std::pair<std::string, T>> all_;
};

std::string base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j)
      three = three << 8 | (j < n ? static_cast<std::uint8_t>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += j <= n ? kDigits[three >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

void check_names(std::string_view where, const std::vector<std::string>& names,
                 std::int64_t classes) {
  if (!names.empty() && static_cast<std::int64_t>(names.size()) != classes)
    ag::fail(where, "there must be a name for each of the {} classes, got {}", classes,
             names.size());
}

std::string time_now() {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(std::time(nullptr)));
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown CPU";
}

std::string machine() {
  constexpr const char* kLevels[] = {"baseline", "avx2", "avx512"};
  char host[256] = "unknown host";
  ::gethostname(host, sizeof host - 1);
  return fmt::format("{}, {}, kernels {}, threads {}, xgrad {}", host, cpu_name(),
                     kLevels[static_cast<int>(ag::simd_level())], ag::num_threads(), ag::version());
}

// A figure of the page: curves whose names begin alike, up to the last slash.
struct Figure {
  std::vector<Curve> curves{};
  std::string note{};
};

std::string as_json(const std::vector<double>& numbers) {
  std::string text;
  for (const double n : numbers) {
    if (!text.empty()) text += ',';
    text += std::isfinite(n) ? fmt::format("{}", n) : "null";
  }
  return '[' + text + ']';
}
std::string as_json(std::string_view title, const Figure& figure) {
  std::string curves;
  for (const Curve& c : figure.curves)
    curves += fmt::format("{}{{\"name\":{},\"x\":{},\"y\":{}}}", curves.empty() ? "" : ",",
                          json_ascii(c.name), as_json(c.x), as_json(c.y));
  return fmt::format("{{\"title\":{},\"curves\":[{}]}}", json_ascii(title), curves);
}

}  // namespace

struct TrainingReport::Impl {
  using Clock = std::chrono::steady_clock;
  std::string title, started = time_now();
  Titled<Series> series{};
  Norms norms{};
  Titled<Pictures> pictures{};
  Titled<Confusion> confusions{};
  Titled<std::string> texts{};
  std::map<std::string, std::string> options{};
  std::string path{};  // of the live page
  double seconds = 0;
  Clock::time_point written{};

  Titled<Figure> figures() const;
  std::string html(bool goes_on) const;
  void save(const std::string& to, bool goes_on) const {
    detail::Replacement file(to);
    file.write(html(goes_on));
    file.commit();
  }
  // Something was added.
  void added() {
    if (path.empty() || Clock::now() - written < std::chrono::duration<double>(seconds)) return;
    save(path, true);
    written = Clock::now();
  }
};

Titled<Figure> TrainingReport::Impl::figures() const {
  Titled<Figure> out;
  for (const auto& [name, curve] : series) {
    const auto slash = name.rfind('/');
    const bool alone = slash == name.npos || slash == 0 || slash + 1 == name.size();
    Figure& figure = out[alone ? name : name.substr(0, slash)];
    const std::string label = alone ? "" : name.substr(slash + 1);
    figure.curves.push_back(curve.curve(label));
    figure.note += fmt::format("{}{}{}last {}", figure.note.empty() ? "" : "; ", label,
                               label.empty() ? "" : " ", detail::short_number(curve.last()));
    if (curve.nonfinite() > 0) figure.note += fmt::format(", {} × NaN or Inf", curve.nonfinite());
    if (curve.per() > 1) figure.note += fmt::format(", a point is the mean of {}", curve.per());
  }
  return out;
}

std::string TrainingReport::Impl::html(bool goes_on) const {
  std::string plots;
  std::string json;
  for (const auto& [name, figure] : figures()) {
    json += (json.empty() ? '[' : ',') + as_json(name, figure);
    plots += fmt::format(
        "<figure class=\"plot\"><svg viewBox=\"0 0 640 320\" role=\"img\">{}</svg>"
        "<figcaption>{}</figcaption></figure>\n",
        detail::plot_body(figure.curves, {.title = name}), escaped(figure.note));
  }
  // Within a script element nothing is escaped, but "</script" would end it.
  json += json.empty() ? "[]" : "]";
  for (std::size_t at = 0; (at = json.find('<', at)) != json.npos; at += 6)
    json.replace(at, 1, "\\u003c");

  std::string body;
  if (!plots.empty()) body += "<h2>Curves</h2><div class=\"cards\">\n" + plots + "</div>\n";
  if (!norms.columns.empty()) body += norms_section(norms);
  for (const auto& [name, c] : confusions) body += confusion_section(name, c);
  for (const auto& [name, p] : pictures) body += pictures_section(name, p);
  for (const auto& [name, text] : texts)
    body += fmt::format("<h2>{}</h2><figure class=\"scroll\"><pre>{}</pre></figure>\n",
                        escaped(name), escaped(text));
  if (!options.empty()) {
    body += "<h2>Options</h2><div class=\"scroll\"><table>";
    for (const auto& [name, value] : options)
      body += fmt::format("<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(value));
    body += "</table></div>\n";
  }
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<meta name=\"color-scheme\" content=\"light "
      "dark\">{}<title>{}</title><style>{}{}</style></head>\n"
      "<body><h1>{}</h1><p class=\"pale\">{}, begun {}, written {}<br>{}</p>\n{}"
      "<script type=\"application/json\" "
      "id=\"curves\">{}</script><script>{}</script></body></html>\n",
      goes_on
          ? fmt::format("<meta http-equiv=\"refresh\" content=\"{:.0f}\">", std::max(1.0, seconds))
          : "",
      escaped(title), detail::kPlotStyle, detail::kReportStyle, escaped(title),
      goes_on ? "Goes on" : "Ended", started, time_now(), escaped(machine()), body, json,
      detail::kReportScript);
}

TrainingReport::TrainingReport(std::string title) : impl_(std::make_unique<Impl>()) {
  impl_->title = std::move(title);
}

TrainingReport::~TrainingReport() {
  if (!impl_ || impl_->path.empty()) return;
  try {
    impl_->save(impl_->path, false);
  } catch (...) {
  }
}
TrainingReport::TrainingReport(TrainingReport&&) noexcept = default;
TrainingReport& TrainingReport::operator=(TrainingReport&&) noexcept = default;

void TrainingReport::add_scalar(std::string_view name, double value, std::int64_t step) {
  if (name.empty()) ag::fail("add_scalar", "a name must not be empty");
  held(impl_, kType)->series[name].add(static_cast<double>(step), value);
  held(impl_, kType)->added();
}

void TrainingReport::add_gradients(const Module& model, std::int64_t step) {
  held(impl_, kType)->norms.add(gradient_report(model), step);
  held(impl_, kType)->added();
}

void TrainingReport::add_images(std::string_view title, const ag::Tensor& images,
                                const std::vector<std::string>& captions) {
  detail::check_pictures("add_images", images);
  const std::int64_t n = images.size(0);
  if (!captions.empty() && static_cast<std::int64_t>(captions.size()) != n)
    ag::fail("add_images", "there must be a caption for each of the {} images, got {}", n,
             captions.size());
  const ag::Tensor x = detail::stretched(images);
  Pictures pictures{{}, captions};
  for (std::int64_t i = 0; i < n; ++i)
    pictures.urls.push_back("data:image/png;base64," +
                            base64(data::encode_png(ag::select(x, 0, i))));
  held(impl_, kType)->pictures[title] = std::move(pictures);
  held(impl_, kType)->added();
}

void TrainingReport::add_mistakes(std::string_view title, const ag::Tensor& images,
                                  const ag::Tensor& logits, const ag::Tensor& labels,
                                  const std::vector<std::string>& names, std::int64_t count) {
  const ag::NoGrad no_grad;
  detail::check_pictures("add_mistakes", images);
  const ag::Tensor losses = cross_entropy(logits, labels, {.reduction = Reduction::none});
  const std::int64_t n = labels.numel();
  if (images.size(0) != n)
    ag::fail("add_mistakes", "there must be a label for each image, got {} and {}", n,
             images.size(0));
  check_names("add_mistakes", names, logits.size(1));
  const ag::Tensor predicted = ag::argmax(logits, 1), worth = losses.to(ag::float64);
  const auto label = labels.to_vector<std::int64_t>(), guess = predicted.to_vector<std::int64_t>();
  const auto loss = worth.to_vector<double>();
  const auto rank = [&](std::int64_t i) {  // NaN is the worst
    const double x = loss[static_cast<std::size_t>(i)];
    return std::isnan(x) ? std::numeric_limits<double>::infinity() : x;
  };
  std::vector<std::int64_t> wrong;
  for (std::int64_t i = 0; i < n; ++i)
    if (const auto at = static_cast<std::size_t>(i); label[at] != guess[at]) wrong.push_back(i);
  std::stable_sort(wrong.begin(), wrong.end(), [&](auto a, auto b) { return rank(a) > rank(b); });
  wrong.resize(std::min(wrong.size(), static_cast<std::size_t>(std::max<std::int64_t>(count, 0))));
  std::vector<std::string> captions;
  for (const std::int64_t i : wrong) {
    const auto at = static_cast<std::size_t>(i);
    captions.push_back(fmt::format("{}, taken for {}; loss {}", name_of(names, label[at]),
                                   name_of(names, guess[at]), detail::short_number(loss[at])));
  }
  if (wrong.empty()) {
    held(impl_, kType)->pictures[title] = {};
    return held(impl_, kType)->added();
  }
  add_images(title, ag::index_select(images.detach(), 0, ag::tensor(wrong)), captions);
}

void TrainingReport::add_confusion(std::string_view title, const ag::Tensor& confusion,
                                   const std::vector<std::string>& names) {
  if (!confusion.defined() || confusion.ndim() != 2 || confusion.size(0) != confusion.size(1) ||
      confusion.dtype() != ag::int64)
    ag::fail("add_confusion",
             "the matrix must be int64 (classes, classes), as confusion_matrix gives");
  check_names("add_confusion", names, confusion.size(0));
  held(impl_, kType)->confusions[title] = {confusion.size(0), confusion.to_vector<std::int64_t>(),
                                           names};
  held(impl_, kType)->added();
}

void TrainingReport::add_text(std::string_view title, std::string_view text) {
  held(impl_, kType)->texts[title] = text;
  held(impl_, kType)->added();
}

void TrainingReport::add_options(const std::map<std::string, std::string>& options) {
  for (const auto& [name, value] : options) held(impl_, kType)->options[name] = value;
  held(impl_, kType)->added();
}

void TrainingReport::live(const std::string& path, double seconds) {
  if (!(seconds >= 0) || !std::isfinite(seconds))
    ag::fail("live", "seconds must be at least 0, got {}", seconds);
  held(impl_, kType)->path = path, held(impl_, kType)->seconds = seconds;
  held(impl_, kType)->save(path, true);
  held(impl_, kType)->written = Impl::Clock::now();
}

void TrainingReport::save(const std::string& path) const {
  held(impl_, kType)->save(path, false);
  if (path == held(impl_, kType)->path) held(impl_, kType)->path.clear();
}

std::string TrainingReport::html() const { return held(impl_, kType)->html(false); }

}  // namespace nn
