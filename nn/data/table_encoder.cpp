#include "nn/data/table_encoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>

#include "nn/data/readers/quoted.hpp"
#include "nn/data/standardizer.hpp"

namespace nn::data {

using autograd::fail;
using detail::quoted;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::array kKinds{"number", "ordinal", "one_hot"};
constexpr std::array kUnknowns{"error", "ignore", "category"};
constexpr std::array kImputes{"error", "nan", "mean", "median", "most_frequent", "category"};

template <class Names, class E>
const char* name_of(const Names& names, E value) {
  return names[static_cast<std::size_t>(value)];
}

// Texts in words of 8 bytes: the length of each in bytes, then its bytes, filled up with 0.
void pack(std::vector<std::int64_t>& words, const std::string& text) {
  words.push_back(static_cast<std::int64_t>(text.size()));
  const std::size_t begin = words.size();
  words.resize(begin + (text.size() + 7) / 8);
  if (!text.empty()) std::memcpy(words.data() + begin, text.data(), text.size());
}

class Unpacker {
 public:
  explicit Unpacker(const ag::Tensor& words)
      : at_(words.data<std::int64_t>()), left_(static_cast<std::size_t>(words.numel())) {}

  // False if that is none.
  bool next(std::string& text) {
    if (left_ == 0 || *at_ < 0 || static_cast<std::size_t>(*at_) > 8 * (left_ - 1)) return false;
    const auto size = static_cast<std::size_t>(*at_), words = 1 + (size + 7) / 8;
    text.assign(reinterpret_cast<const char*>(at_ + 1), size);
    at_ += words;
    left_ -= words;
    return true;
  }
  bool at_end() const { return left_ == 0; }

 private:
  const std::int64_t* at_;
  std::size_t left_;
};

bool is_matrix(const Buffer& t, std::int64_t rows, std::int64_t columns) {
  return t.ndim() == 2 && t.size(0) == rows && t.size(1) == columns;
}

Standardizer standardizer_of(const std::vector<double>& values) {
  ag::Tensor x = ag::empty({static_cast<std::int64_t>(values.size())}, ag::float64);
  std::copy(values.begin(), values.end(), x.mutable_data<double>());
  return Standardizer().fit(x);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return std::midpoint(*std::max_element(values.begin(), middle), *middle);
}

// Of several the smallest.
double most_frequent(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  double best = 0;
  std::ptrdiff_t most = 0;
  for (auto run = values.begin(); run != values.end();) {
    const auto end = std::upper_bound(run, values.end(), *run);
    if (end - run > most) best = *run, most = end - run;
    run = end;
  }
  return best;
}

std::vector<double> without_nan(std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  return values;
}

[[noreturn]] void refuse_missing(const char* op, const std::string& name, std::size_t row) {
  fail(op, "column {} must have a value in each row, got none in row {}; choose .impute_in",
       quoted(name), row);
}

[[noreturn]] void refuse_rule(const std::string& name, const char* what, const char* rule) {
  fail("fit", "column {} holds {}, which Impute::{} cannot fill in; choose .impute_in",
       quoted(name), what, rule);
}

}  // namespace

TableEncoder TableEncoder::from_state(const StateDict& state, std::string_view member) {
  const std::string prefix = member.empty() ? "" : std::string(member) + '.';
  TableEncoder encoder;
  encoder.layout = state.at(prefix + "layout");
  encoder.numbers = state.at(prefix + "numbers");
  encoder.texts = state.at(prefix + "texts");
  encoder.fitted("from_state");
  return encoder;
}

void TableEncoder::check_names(const Table& table) const {
  const auto check = [&](const std::string& name, const char* option, bool text) {
    if (!table.has(name) || (text && !table.is_text(name)))
      fail("fit", ".{} must name columns of {}, got {}", option, text ? "text" : "the table",
           quoted(name));
  };
  for (const auto& name : options_.ordinal) check(name, "ordinal", true);
  for (const auto& [name, rule] : options_.unknown_in) check(name, "unknown_in", true);
  for (const auto& [name, rule] : options_.impute_in) check(name, "impute_in", false);
}

TableEncoder& TableEncoder::fit(const Table& table) {
  if (table.rows() == 0 || table.columns_.empty())
    fail("fit", "needs at least one row and one column, got {} and {}", table.rows(),
         table.columns_.size());
  check_names(table);
  std::vector<Column> columns;
  for (const auto& data : table.columns_) columns.push_back(fit_column(*data));
  store(columns);
  return *this;
}

TableEncoder::Column TableEncoder::fit_column(const Table::Column& data) const {
  Column column;
  column.name = data.name;
  column.impute = data.text ? options_.impute_texts : options_.impute_numbers;
  column.unknown = options_.unknown;
  if (const auto own = options_.impute_in.find(data.name); own != options_.impute_in.end())
    column.impute = own->second;
  if (const auto own = options_.unknown_in.find(data.name); own != options_.unknown_in.end())
    column.unknown = own->second;
  if (column.impute == Impute::error)
    for (std::size_t row = 0; row < data.values.size(); ++row)
      if (std::isnan(data.values[row])) refuse_missing("fit", data.name, row);
  if (!data.text) {
    fit_numbers(column, data);
    return column;
  }
  const auto& ordinal = options_.ordinal;
  const bool is_ordinal = std::find(ordinal.begin(), ordinal.end(), data.name) != ordinal.end();
  column.kind = is_ordinal ? Kind::ordinal : Kind::one_hot;
  fit_texts(column, data);
  return column;
}

void TableEncoder::fit_numbers(Column& column, const Table::Column& data) const {
  if (column.impute == Impute::category) refuse_rule(column.name, "numbers", "category");
  const bool fills = column.impute != Impute::error && column.impute != Impute::nan;
  std::vector<double> present = without_nan(data.values);
  if (!fills && !options_.standardize) return;
  if (present.empty() ||
      !std::all_of(present.begin(), present.end(), [](double v) { return std::isfinite(v); }))
    fail("fit", "column {} must hold finite numbers, got {}", quoted(column.name),
         present.empty() ? "none" : "an infinite one");
  if (column.impute == Impute::mean) column.fill = standardizer_of(present).mean.item<double>();
  if (column.impute == Impute::median) column.fill = median(present);
  if (column.impute == Impute::most_frequent) column.fill = most_frequent(present);
  if (!options_.standardize) return;
  if (fills) present.resize(data.values.size(), column.fill);
  const Standardizer standardizer = standardizer_of(present);
  column.mean = standardizer.mean.item<double>();
  column.scale = standardizer.scale.item<double>();
}

void TableEncoder::fit_texts(Column& column, const Table::Column& data) {
  if (column.impute == Impute::mean || column.impute == Impute::median)
    refuse_rule(column.name, "text", name_of(kImputes, column.impute));
  std::vector<double> places = without_nan(data.values);
  // Of the texts that are in use, for a part of a table may not have all of them.
  std::vector<bool> in_use(data.texts.size());
  for (const double place : places) in_use[static_cast<std::size_t>(place)] = true;
  auto& categories = column.categories;
  for (std::size_t i = 0; i < in_use.size(); ++i)
    if (in_use[i]) categories.push_back(data.texts[i]);
  if (column.impute == Impute::category && places.size() < data.values.size())
    categories.emplace_back();
  std::sort(categories.begin(), categories.end());
  categories.erase(std::unique(categories.begin(), categories.end()), categories.end());
  if (categories.empty()) fail("fit", "column {} must hold a text, got none", quoted(column.name));
  if (column.impute != Impute::most_frequent) return;
  for (double& place : places) {
    const auto& text = data.texts[static_cast<std::size_t>(place)];
    const auto code = std::lower_bound(categories.begin(), categories.end(), text);
    place = static_cast<double>(code - categories.begin());
  }
  column.fill = most_frequent(std::move(places));
}

// A code for each row: -1 or the number of categories for an unknown text, NaN for a missing one.
std::vector<double> TableEncoder::codes(const Column& column, const Table::Column& data) {
  const auto& categories = column.categories;
  const double other =
      column.unknown == Unknown::ignore ? -1 : static_cast<double>(categories.size());
  const auto code = [&](const std::string& text) {
    const auto at = std::lower_bound(categories.begin(), categories.end(), text);
    const bool known = at != categories.end() && *at == text;
    return known ? static_cast<double>(at - categories.begin()) : kNaN;
  };
  std::vector<double> of_place;
  for (const auto& text : data.texts) of_place.push_back(code(text));
  std::vector<double> result;
  result.reserve(data.values.size());
  for (std::size_t row = 0; row < data.values.size(); ++row) {
    const bool missing = std::isnan(data.values[row]);
    if (missing && column.impute != Impute::category) {
      if (column.impute == Impute::error) refuse_missing("transform", column.name, row);
      result.push_back(column.impute == Impute::most_frequent ? column.fill : kNaN);
      continue;
    }
    const auto place = missing ? 0 : static_cast<std::size_t>(data.values[row]);
    const double known = missing ? code("") : of_place[place];
    if (std::isnan(known) && column.unknown == Unknown::error)
      fail("transform",
           "column {} must hold texts of the training table, got {} in row {}; choose "
           ".unknown",
           quoted(column.name), quoted(missing ? "" : data.texts[place]), row);
    result.push_back(std::isnan(known) ? other : known);
  }
  return result;
}

std::vector<double> TableEncoder::encoded_numbers(const Column& column, const Table::Column& data) {
  std::vector<double> values = data.values;
  for (std::size_t row = 0; row < values.size(); ++row) {
    double& v = values[row];
    if (std::isnan(v)) {
      if (column.impute == Impute::error) refuse_missing("transform", column.name, row);
      v = column.impute == Impute::nan ? kNaN : column.fill;
    }
    v = (v - column.mean) / column.scale;
  }
  return values;
}

Table TableEncoder::transform(const Table& table) const {
  Table result(table.rows());
  const auto add = [&](const std::string& name, std::vector<double> values) {
    result.add(std::make_shared<Table::Column>(Table::Column{name, false, std::move(values), {}}));
  };
  for (const Column& column : fitted("transform")) {
    const Table::Column& data = table.find(column.name);
    if (data.text != (column.kind != Kind::number))
      fail("transform", "column {} must hold {} as the training table has, got {}",
           quoted(column.name), data.text ? "numbers" : "text", data.text ? "text" : "numbers");
    if (column.kind == Kind::number) {
      add(column.name, encoded_numbers(column, data));
      continue;
    }
    const std::vector<double> code = codes(column, data);
    if (column.kind == Kind::ordinal) {
      add(column.name, code);
      continue;
    }
    const auto outputs = column.outputs();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      std::vector<double> values;
      values.reserve(code.size());
      for (const double c : code)
        values.push_back(std::isnan(c) ? kNaN : c == static_cast<double>(i));
      add(outputs[i], std::move(values));
    }
  }
  return result;
}

std::vector<std::string> TableEncoder::Column::outputs() const {
  if (kind != Kind::one_hot) return {name};
  std::vector<std::string> names;
  for (const auto& text : categories) names.push_back(name + '=' + text);
  if (unknown == Unknown::category) names.push_back(name + "=<unknown>");
  return names;
}

std::vector<std::string> TableEncoder::columns() const {
  std::vector<std::string> names;
  for (const Column& column : fitted("columns"))
    for (auto& name : column.outputs()) names.push_back(std::move(name));
  return names;
}

std::vector<std::string> TableEncoder::categories(std::string_view name) const {
  for (Column& column : fitted("categories"))
    if (column.name == name && column.kind != Kind::number) return std::move(column.categories);
  fail("categories", "the column must be one of text that was fitted, got {}", quoted(name));
}

// ---------------------------------------------------------------- state

void TableEncoder::store(const std::vector<Column>& columns) {
  const auto n = static_cast<std::int64_t>(columns.size());
  ag::Tensor new_layout = ag::empty({n, 4}, ag::int64), figures = ag::empty({n, 3}, ag::float64);
  auto* plan = new_layout.mutable_data<std::int64_t>();
  double* figure = figures.mutable_data<double>();
  std::vector<std::int64_t> words;
  for (const Column& c : columns) {
    for (const auto part : {static_cast<std::size_t>(c.kind), static_cast<std::size_t>(c.unknown),
                            static_cast<std::size_t>(c.impute), c.categories.size()})
      *plan++ = static_cast<std::int64_t>(part);
    for (const double part : {c.fill, c.mean, c.scale}) *figure++ = part;
    pack(words, c.name);
    for (const auto& text : c.categories) pack(words, text);
  }
  layout = new_layout;
  numbers = figures;
  ag::Tensor packed = ag::empty({static_cast<std::int64_t>(words.size())}, ag::int64);
  std::copy(words.begin(), words.end(), packed.mutable_data<std::int64_t>());
  texts = packed;
}

std::vector<TableEncoder::Column> TableEncoder::fitted(const char* op) const {
  if (!layout.defined())
    fail(op, "the encoder must be fitted, got none; call fit first, or make it from a saved state");
  const std::int64_t n = layout.ndim() > 0 ? layout.size(0) : 0;
  const auto refuse = [&](const char* what) {
    fail(op, "the state must be that of a fitted encoder, got {}", what);
  };
  if (layout.dtype() != ag::int64 || !is_matrix(layout, n, 4) || !numbers.defined() ||
      !ag::is_floating(numbers.dtype()) || !is_matrix(numbers, n, 3) || !texts.defined() ||
      texts.dtype() != ag::int64 || texts.ndim() != 1)
    refuse("other shapes or dtypes");
  const auto* plan = layout.data<std::int64_t>();
  const ag::Tensor figures = numbers.detach().to(ag::float64);
  const double* figure = figures.data<double>();
  Unpacker unpacker(texts);
  std::vector<Column> columns(static_cast<std::size_t>(n));
  const auto below = [&](std::int64_t value, std::size_t size) {
    if (value < 0 || value >= static_cast<std::int64_t>(size)) refuse("another layout");
    return value;
  };
  for (Column& c : columns) {
    c.kind = static_cast<Kind>(below(*plan++, kKinds.size()));
    c.unknown = static_cast<Unknown>(below(*plan++, kUnknowns.size()));
    c.impute = static_cast<Impute>(below(*plan++, kImputes.size()));
    const std::int64_t categories = below(*plan++, std::numeric_limits<std::int32_t>::max());
    c.fill = *figure++;
    c.mean = *figure++;
    c.scale = *figure++;
    bool whole = unpacker.next(c.name);
    for (std::int64_t i = 0; i < categories && whole; ++i)
      whole = unpacker.next(c.categories.emplace_back());
    if (!whole) refuse("another number of texts");
    if (!std::is_sorted(c.categories.begin(), c.categories.end())) refuse("texts out of order");
    if (c.kind != Kind::number && !(c.fill >= 0 && c.fill < static_cast<double>(categories)))
      refuse("a code that no text has");
  }
  if (!unpacker.at_end()) refuse("another number of texts");
  return columns;
}

std::string TableEncoder::Column::str() const {
  std::string text = quoted(name).substr(1);
  text.pop_back();
  text += fmt::format(": {}", name_of(kKinds, kind));
  if (kind != Kind::number)
    text += fmt::format(" of {}, unknown {}", categories.size(), name_of(kUnknowns, unknown));
  text += fmt::format(", impute {}", name_of(kImputes, impute));
  if (kind == Kind::number && impute > Impute::nan) text += fmt::format(" {:.6g}", fill);
  if (impute == Impute::most_frequent && kind != Kind::number)
    text += ' ' + quoted(categories[static_cast<std::size_t>(fill)]);
  if (mean != 0 || scale != 1) text += fmt::format(", mean {:.6g}, scale {:.6g}", mean, scale);
  return text;
}

std::string TableEncoder::extra_repr() const {
  if (!layout.defined()) return {};
  constexpr std::size_t kShown = 20;
  std::string text;
  const auto all = fitted("str");
  for (std::size_t i = 0; i < all.size() && i < kShown; ++i) text += (i ? "\n" : "") + all[i].str();
  if (all.size() > kShown) text += fmt::format("\n… ({} columns)", all.size());
  return text;
}

}  // namespace nn::data
