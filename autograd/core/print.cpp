#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "autograd/core/tensor.hpp"

// The layout and the choice of digits follow NumPy's array2string with separator ", " and its
// default options; the constants are those options.
namespace autograd {
namespace {

constexpr int kPrecision = 8;
constexpr std::int64_t kThreshold = 1000, kEdgeItems = 3;
constexpr std::size_t kLineWidth = 75;

// ---------------------------------------------------------------- words

template <class... Args>
std::string digits(Args... args) {
  char text[400];  // the longest fixed notation of a double has 325 characters
  return {text, std::to_chars(std::begin(text), std::end(text), args...).ptr};
}

struct Parts {
  std::string whole, fraction, exponent;
};
Parts split(const std::string& text) {
  const auto e = std::min(text.find('e'), text.size()), point = std::min(text.find('.'), e);
  return {text.substr(0, point), point < e ? text.substr(point + 1, e - point - 1) : "",
          text.substr(e)};
}

// The fewest digits that read back as the same number, but at most kPrecision after the point.
template <class T>
Parts shortest(T x, std::chars_format format) {
  Parts parts = split(digits(x, format));
  if (parts.fraction.size() > kPrecision) {
    parts = split(digits(x, format, kPrecision));
    parts.fraction.erase(parts.fraction.find_last_not_of('0') + 1);
  }
  return parts;
}

// NumPy takes scientific notation where a column would need too many digits.
template <class T>
bool needs_exponent(const std::vector<T>& values) {
  T high = 0, low = std::numeric_limits<T>::infinity();
  for (T x : values) {
    if (x == 0 || !std::isfinite(x)) continue;
    high = std::max(high, std::abs(x));
    low = std::min(low, std::abs(x));
  }
  const T limit = std::is_same_v<T, float> ? T(1e6) : T(1e8);
  return high > 0 && (high >= limit || low < T(1e-4) || high / low > T(1000));
}

// With equal numbers of digits behind the point, or blanks in their place.
template <class T>
std::vector<std::string> float_words(const std::vector<T>& values) {
  const bool scientific = needs_exponent(values);
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
  std::vector<Parts> parts;
  std::size_t fraction = 0, exponent = 0;
  for (T x : values) {
    parts.push_back(std::isfinite(x) ? shortest(x, format) : Parts());
    fraction = std::max(fraction, parts.back().fraction.size());
    exponent = std::max(exponent, parts.back().exponent.size());
  }
  std::vector<std::string> words;
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto& [w, f, e] = parts[i];
    if (!std::isfinite(values[i])) {
      words.push_back(fmt::format("{}", unsigned_nan(values[i])));
      continue;
    }
    if (scientific) {
      // True digits, not zeros, up to the length of the longest.
      parts[i] = split(digits(values[i], format, static_cast<int>(fraction)));
      e.insert(2, exponent - e.size(), '0');
    }
    f.resize(fraction, ' ');
    words.push_back(w + '.' + f + e);
  }
  return words;
}

// A width or precision of millions takes memory for every element.
void check_numbers(std::string_view spec) {
  std::size_t digits = 0;
  for (const char c : spec) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 3)
      fail("to_string", "numbers in the format must have at most 3 digits, got \"{}\"",
           quoted(spec));
  }
}

std::vector<std::string> spec_words(const Tensor& t, const std::vector<std::int64_t>& at,
                                    std::string_view spec) {
  check_numbers(spec);
  const std::string format = fmt::format("{{:{}}}", spec);
  std::vector<std::string> words;
  dispatch(t.dtype(), [&](auto zero) {
    const auto* p = t.data<decltype(zero)>();
    try {
      for (auto i : at) words.push_back(fmt::format(fmt::runtime(format), detail::shown(p[i])));
    } catch (const fmt::format_error& e) {
      fail("to_string", "the format must suit {} elements, got \"{}\" ({})", name(t.dtype()),
           quoted(spec), e.what());
    }
  });
  return words;
}

// The elements numbered `at`, each as a word, all of one length.
std::vector<std::string> make_words(const Tensor& t, const std::vector<std::int64_t>& at,
                                    std::string_view spec) {
  std::vector<std::string> words;
  if (!spec.empty()) {
    words = spec_words(t, at, spec);
  } else {
    dispatch(t.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* p = t.data<T>();
      if constexpr (std::floating_point<T>) {
        std::vector<T> values;
        values.reserve(at.size());
        for (auto i : at) values.push_back(p[i]);
        words = float_words(values);
      } else {
        for (auto i : at)
          words.push_back(std::same_as<T, bool> ? (p[i] ? "True" : "False") : fmt::to_string(p[i]));
      }
    });
  }
  std::size_t width = t.dtype() == boolean && spec.empty() && t.ndim() > 0 ? 5 : 0;
  for (const auto& w : words) width = std::max(width, w.size());
  for (auto& w : words) w.insert(0, width - w.size(), ' ');
  return words;
}

// ---------------------------------------------------------------- layout

class Printer {
 public:
  Printer(const Tensor& t, std::string_view spec)
      : shape_(t.shape()), summary_(t.numel() > kThreshold) {
    std::vector<std::int64_t> at;
    visible(0, 0, at);
    words_ = make_words(t, at, spec);
  }
  std::string print() { return block(0, " ", kLineWidth); }

 private:
  // Calls `item(i)` for the visible entries of an axis and `gap()` for the ones left out.
  template <class Item, class Gap>
  void each(std::size_t axis, Item item, Gap gap) const {
    const std::int64_t n = shape_[axis];
    const bool cut = summary_ && n > 2 * kEdgeItems;
    for (std::int64_t i = 0; i < n; ++i) {
      if (cut && i == kEdgeItems) {
        gap();
        i = n - kEdgeItems;
      }
      item(i);
    }
  }

  void visible(std::size_t axis, std::int64_t offset, std::vector<std::int64_t>& at) const {
    if (axis == shape_.size()) {
      at.push_back(offset);
      return;
    }
    each(
        axis, [&](std::int64_t i) { visible(axis + 1, offset * shape_[axis] + i, at); }, [] {});
  }

  // One bracketed block; `indent` begins each of its lines but the first.
  std::string block(std::size_t axis, const std::string& indent, std::size_t width) {
    if (axis == shape_.size()) return words_[next_++];
    std::string text =
        axis + 1 == shape_.size() ? row(axis, indent, width - 1) : rows(axis, indent, width);
    return '[' + text.substr(indent.size()) + ']';
  }

  std::string row(std::size_t axis, const std::string& indent, std::size_t width) {
    std::string done, line = indent;
    auto add = [&](const std::string& word) {
      if (line.size() > indent.size()) line += ", ";
      if (line.size() + word.size() > width && line.size() > indent.size()) {
        done += line.substr(0, line.size() - 1) + '\n';
        line = indent;
      }
      line += word;
    };
    each(
        axis, [&](std::int64_t) { add(words_[next_++]); }, [&] { add("..."); });
    return done + line;
  }

  std::string rows(std::size_t axis, const std::string& indent, std::size_t width) {
    const std::string separator = ',' + std::string(shape_.size() - axis - 1, '\n');
    std::string text;
    auto add = [&](const std::string& part) {
      if (!text.empty()) text += separator;
      text += indent + part;
    };
    each(
        axis, [&](std::int64_t) { add(block(axis + 1, indent + ' ', width - 1)); },
        [&] { add("..."); });
    return text;
  }

  const Shape& shape_;
  bool summary_;
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

}  // namespace

std::string to_string(const Tensor& t, std::string_view spec) {
  if (!t.defined()) return "undefined";
  if (t.numel() == 0) return "[]";
  return Printer(t, spec).print();
}

std::ostream& operator<<(std::ostream& os, const Tensor& t) { return os << to_string(t); }

}  // namespace autograd
