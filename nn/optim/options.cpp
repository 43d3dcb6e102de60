#include <fmt/ranges.h>

#include "autograd/core/errors.hpp"
#include "nn/module/module.hpp"
#include "nn/optim/optimizer.hpp"

namespace nn::optim {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

// The names of the two values of a pair: "beta1" and "beta2" of "betas".
std::string numbered(std::string_view pair, int i) {
  if (pair.ends_with('s')) pair.remove_suffix(1);
  return fmt::format("{}{}", pair, i);
}

}  // namespace

void detail::OptionSaver::visit(std::string_view name, const OptionValue& value, const Range&) {
  const auto save = [&](std::string_view entry, auto number) {
    state_.push_back(named_scalar(prefix_ + std::string(entry), number));
  };
  std::visit(Overloaded{[&](auto* number) { save(name, *number); },
                        [&](std::pair<double, double>* pair) {
                          save(numbered(name, 1), pair->first);
                          save(numbered(name, 2), pair->second);
                        },
                        [&](std::optional<double>* number) {
                          if (*number) save(name, **number);
                        },
                        [&](const Choice& choice) { save(name, *choice.index); }},
             value);
}

void detail::OptionLoader::visit(std::string_view name, const OptionValue& value, const Range&) {
  const auto number = [&](std::string_view entry) {
    return reader_.number(prefix_ + std::string(entry));
  };
  const std::string own = prefix_ + std::string(name);
  std::visit(Overloaded{[&](double* x) { *x = reader_.number(own); },
                        [&](bool* x) { *x = reader_.flag(own); },
                        [&](std::int64_t* x) { *x = reader_.integer(own); },
                        [&](std::pair<double, double>* x) {
                          *x = {number(numbered(name, 1)), number(numbered(name, 2))};
                        },
                        [&](std::optional<double>* x) {
                          *x = reader_.has(own) ? std::optional(reader_.number(own)) : std::nullopt;
                        },
                        [&](const Choice& x) { *x.index = reader_.integer(own); }},
             value);
}

void detail::OptionChecker::visit(std::string_view name, const OptionValue& value,
                                  const Range& range) {
  const auto check = [&](bool holds, const auto& shown) {
    if (!holds) ag::fail(owner_, "{} must be {}, got {}", name, range.words, shown);
  };
  std::visit(Overloaded{[&](auto* x) { check(range.holds(static_cast<double>(*x)), *x); },
                        [&](std::pair<double, double>* x) {
                          check(range.holds(x->first) && range.holds(x->second),
                                fmt::format("({}, {})", x->first, x->second));
                        },
                        [&](std::optional<double>* x) {
                          if (*x) check(range.holds(**x), **x);
                        },
                        [&](const Choice& x) {
                          if (*x.index < 0 || *x.index >= static_cast<std::int64_t>(x.words.size()))
                            ag::fail(owner_, "{} must be the place of one of {}, got {}", name,
                                     fmt::join(x.words, ", "), *x.index);
                        }},
             value);
}

void detail::OptionPrinter::visit(std::string_view name, const OptionValue& value, const Range&) {
  const std::string shown = std::visit(
      Overloaded{
          [](double* x) { return repr(*x); }, [](bool* x) { return repr(*x); },
          [](std::int64_t* x) { return fmt::format("{}", *x); },
          [](std::pair<double, double>* x) {
            return fmt::format("({}, {})", repr(x->first), repr(x->second));
          },
          [](std::optional<double>* x) { return *x ? repr(**x) : std::string("None"); },
          [](const Choice& x) { return std::string(x.words[static_cast<std::size_t>(*x.index)]); }},
      value);
  text_ += fmt::format("{}{}={}", text_.empty() ? "" : ", ", name, shown);
}

}  // namespace nn::optim
