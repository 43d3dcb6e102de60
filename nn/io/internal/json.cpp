#include "nn/io/internal/json.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "autograd/core/errors.hpp"

namespace nn::detail {
namespace {

using autograd::fail;

// What is destroyed calls itself for each level.
constexpr std::size_t kMostLevels = 100;

class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(std::string_view path) : path_(path) {}
  Json root;

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(std::int64_t{value}); }
  bool number_unsigned(number_unsigned_t value) override {
    if (std::in_range<std::int64_t>(value)) return add(static_cast<std::int64_t>(value));
    return add(std::uint64_t{value});
  }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // not of texts
  bool start_object(std::size_t) override { return enter(Json::Object()); }
  bool start_array(std::size_t) override { return enter(Json::List()); }
  bool key(string_t& value) override { return key_ = std::move(value), true; }
  bool end_object() override { return open_.pop_back(), true; }
  bool end_array() override { return open_.pop_back(), true; }
  bool parse_error(std::size_t byte, const std::string&,
                   const nlohmann::detail::exception& e) override {
    if (e.id == 406) fail(path_, "numbers in JSON must be finite, got one that is not");
    fail(path_, "must be JSON, got something else at byte {}", byte);
  }

 private:
  Json& place(Json::Value value) {
    if (open_.empty()) return root = Json(std::move(value));
    Json& in = *open_.back();
    if (in.is<Json::List>()) return in.as<Json::List>().emplace_back(std::move(value));
    return in.as<Json::Object>()[std::exchange(key_, {})] = Json(std::move(value));
  }
  bool add(Json::Value value) { return place(std::move(value)), true; }
  bool enter(Json::Value value) {
    if (open_.size() == kMostLevels)
      fail(path_, "JSON must have at most {} lists and objects within each other, got more",
           kMostLevels);
    open_.push_back(&place(std::move(value)));
    return true;
  }

  const std::string_view path_;
  std::string key_;
  std::vector<Json*> open_;  // a list grows only while what is in it is closed
};

std::string written(std::string_view text, bool ascii,
                    nlohmann::json::error_handler_t wrong_bytes) {
  return nlohmann::json(text).dump(-1, ' ', ascii, wrong_bytes);
}

}  // namespace

Json parse_json(std::string_view path, std::string_view text) {
  if (const std::size_t zero = text.find('\0'); zero != text.npos)  // would be an end to the parser
    fail(path, "must be JSON, got something else at byte {}", zero + 1);
  Builder builder(path);
  nlohmann::json::sax_parse(text, &builder);
  return std::move(builder.root);
}

std::string json_string(std::string_view path, std::string_view text) try {
  return written(text, false, nlohmann::json::error_handler_t::strict);
} catch (const nlohmann::json::type_error&) {
  fail(path, "texts in JSON must be UTF-8, got {}", autograd::quoted(text));
}

std::string json_ascii(std::string_view text) {
  return written(text, true, nlohmann::json::error_handler_t::replace);
}

const Json& Json::operator[](std::string_view name) const {
  static const Json null;
  if (!is<Object>()) return null;
  const auto at = as<Object>().find(name);
  return at == as<Object>().end() ? null : at->second;
}

namespace {

struct Text {
  std::string operator()(std::nullptr_t) const { return "null"; }
  std::string operator()(const std::string& s) const {
    return written(s, false, nlohmann::json::error_handler_t::replace);
  }
  std::string operator()(const Json::List& list) const {
    std::string all;
    for (const Json& entry : list) all += (all.empty() ? "" : ",") + entry.text();
    return '[' + all + ']';
  }
  std::string operator()(const Json::Object& object) const {
    std::string all;
    for (const auto& [name, entry] : object)
      all += (all.empty() ? "" : ",") + (*this)(name) + ':' + entry.text();
    return '{' + all + '}';
  }
  template <class Number>
  std::string operator()(Number value) const {
    return nlohmann::json(value).dump();
  }
};

}  // namespace

std::string Json::text() const { return std::visit(Text(), value_); }

}  // namespace nn::detail
