#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "autograd/core/errors.hpp"
#include "nn/data/internal/bpe.hpp"
#include "nn/data/internal/unicode.hpp"
#include "nn/data/readers/input_file.hpp"
#include "nn/data/readers/quoted.hpp"
#include "nn/data/readers/text.hpp"
#include "nn/io/internal/json.hpp"
#include "nn/io/internal/replacement.hpp"

namespace nn::data {

using autograd::fail;
using nn::detail::Json;
using nn::detail::json_string;

namespace {

using Entries = std::vector<std::pair<std::string, std::int64_t>>;  // tokens and their ids

Json parsed(const std::string& path) { return nn::detail::parse_json(path, read_text(path)); }

// What a value is, for an error.
std::string shown(const Json& value) {
  if (const Json& type = value["type"]; type.is<std::string>())
    return detail::quoted(type.as<std::string>());
  return autograd::quoted(value.text(), 40);
}

// A member of an object, null if it is not there.
const Json& member(const std::string& path, const Json& object, const char* name) {
  if (!object.is<Json::Object>())
    fail(path, "must be an object that may have \"{}\", got {}", name, shown(object));
  return object[name];
}

bool is_null(const Json& value) { return value.is<std::nullptr_t>(); }

bool flag(const std::string& path, const Json& object, const char* name, bool otherwise) {
  const Json& value = member(path, object, name);
  if (is_null(value)) return otherwise;
  if (!value.is<bool>()) fail(path, "\"{}\" must be true or false, got {}", name, shown(value));
  return value.as<bool>();
}

std::int64_t id(const std::string& path, const Json& value) {
  const std::int64_t number = value.is<std::int64_t>() ? value.as<std::int64_t>() : -1;
  if (number < 0 || number >= std::int64_t{1} << 31)
    fail(path, "ids must be whole numbers in [0, 2^31), got {}", shown(value));
  return number;
}

// Refuses what would give other ids than those of this tokenizer.
void refuse_unless(bool holds, const std::string& path, const char* part, const char* wanted,
                   const Json& value) {
  if (!holds) fail(path, "\"{}\" must be {}, got {}", part, wanted, shown(value));
}
bool is_byte_level(const Json& value) { return value["type"] == "ByteLevel"; }
bool says_nothing(const Json& value) {
  return is_null(value) || value == "" || value.text() == "0" || value.text() == "0.0" ||
         value.text() == "false";
}

void read_pipeline(const std::string& path, const Json& file, detail::BpeModel& model) {
  for (const char* part : {"normalizer", "truncation", "padding"}) {
    const Json& value = member(path, file, part);
    refuse_unless(is_null(value), path, part, "null", value);
  }
  const Json& pre = member(path, file, "pre_tokenizer");
  refuse_unless(is_byte_level(pre), path, "pre_tokenizer", "\"ByteLevel\"", pre);
  for (const char* part : {"post_processor", "decoder"}) {
    const Json& value = member(path, file, part);
    refuse_unless(is_null(value) || is_byte_level(value), path, part, "\"ByteLevel\" or null",
                  value);
  }
  model.add_prefix_space = flag(path, pre, "add_prefix_space", true);
  model.split_words = flag(path, pre, "use_regex", true);
}

Entries read_vocab(const std::string& path, const Json& vocab) {
  if (!vocab.is<Json::Object>())
    fail(path, "the vocabulary must be an object, got {}", shown(vocab));
  Entries entries;
  for (const auto& [token, value] : vocab.as<Json::Object>())
    entries.emplace_back(token, id(path, value));
  return entries;
}

std::vector<detail::AddedToken> read_added(const std::string& path, const Json& list) {
  std::vector<detail::AddedToken> added;
  if (is_null(list)) return added;
  if (!list.is<Json::List>()) fail(path, "\"added_tokens\" must be a list, got {}", shown(list));
  for (const Json& entry : list.as<Json::List>()) {
    for (const char* option : {"single_word", "lstrip", "rstrip"})
      refuse_unless(!flag(path, entry, option, false), path, option, "false", Json(true));
    const Json& content = member(path, entry, "content");
    if (!content.is<std::string>() || content == "")
      fail(path, "added tokens must have a \"content\", got {}", shown(content));
    added.push_back({content.as<std::string>(),
                     static_cast<std::int32_t>(id(path, member(path, entry, "id"))),
                     flag(path, entry, "special", false), flag(path, entry, "normalized", true)});
  }
  return added;
}

// The tokens by id: each id once, without a gap.
void place_tokens(const std::string& path, const Entries& entries, detail::BpeModel& model) {
  std::unordered_map<std::string_view, std::int64_t> ids;
  for (const auto& [token, id] : entries) ids[token] = id;
  for (const auto& added : model.added)
    if (const auto [at, is_new] = ids.emplace(added.content, added.id); at->second != added.id)
      fail(path, "a token must have one id, got {} and {} for {}", at->second, added.id,
           detail::quoted(added.content));
  model.tokens.resize(ids.size());
  std::vector<bool> taken(ids.size());
  for (const auto& [token, id] : ids) {
    const auto at = static_cast<std::size_t>(id);
    if (at >= taken.size() || taken[at])
      fail(path, "the ids of {} tokens must be 0 to {}, each once, got {} for {}", ids.size(),
           ids.size() - 1, id, detail::quoted(token));
    taken[at] = true;
    model.tokens[at] = token;
  }
}

// Merges by what they are called.
class Merges {
 public:
  explicit Merges(detail::BpeModel& model) : model_(model) {
    for (std::size_t i = 0; i < model.tokens.size(); ++i)
      ids_.emplace(model.tokens[i], static_cast<std::int32_t>(i));
  }
  void add(std::string_view where, std::string_view line) {
    const std::size_t space = line.find(' ');
    if (space == line.npos || line.find(' ', space + 1) != line.npos)
      fail(where, "a merge must be two tokens with a space between them, got {}",
           detail::quoted(line));
    add(where, line.substr(0, space), line.substr(space + 1));
  }
  void add(std::string_view where, std::string_view left, std::string_view right) {
    model_.merges.emplace_back(find(where, left), find(where, right));
  }

 private:
  std::int32_t find(std::string_view where, std::string_view token) const {
    const auto at = ids_.find(token);
    if (at == ids_.end()) fail(where, "merges must be of tokens, got {}", detail::quoted(token));
    return at->second;
  }
  detail::BpeModel& model_;
  std::unordered_map<std::string_view, std::int32_t> ids_;
};

void read_merges(const std::string& path, const Json& list, detail::BpeModel& model) {
  if (!list.is<Json::List>()) fail(path, "\"merges\" must be a list, got {}", shown(list));
  Merges merges(model);
  for (const Json& entry : list.as<Json::List>()) {
    if (entry.is<std::string>()) {
      merges.add(path, entry.as<std::string>());
      continue;
    }
    const Json::List none, &pair = entry.is<Json::List>() ? entry.as<Json::List>() : none;
    if (pair.size() != 2 || !pair[0].is<std::string>() || !pair[1].is<std::string>())
      fail(path, "a merge must be two tokens, got {}", shown(entry));
    merges.add(path, pair[0].as<std::string>(), pair[1].as<std::string>());
  }
}

void write(const std::string& path, std::string_view text) {
  nn::detail::Replacement file(path);
  file.write(text);
  file.commit();
}

// Members or entries with commas between them, each on a line of its own.
class Joined {
 public:
  void add(std::string_view entry) { (text_ += text_.empty() ? "\n" : ",\n") += entry; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string vocab_of(const std::string& path, const detail::BpeModel& model) {
  Joined vocab;
  for (std::size_t i = 0; i < model.tokens.size(); ++i)
    vocab.add(fmt::format("{}: {}", json_string(path, model.tokens[i]), i));
  return fmt::format("{{{}\n}}", vocab.text());
}

std::string added_of(const std::string& path, const detail::BpeModel& model) {
  Joined added;
  for (const auto& token : model.added)
    added.add(fmt::format(R"({{"id": {}, "content": {}, "single_word": false, "lstrip": false, )"
                          R"("rstrip": false, "normalized": {}, "special": {}}})",
                          token.id, json_string(path, token.content), token.normalized,
                          token.special));
  return fmt::format("[{}\n]", added.text());
}

std::string merges_of(const std::string& path, const detail::BpeModel& model) {
  const auto token = [&](std::int32_t id) {
    return json_string(path, model.tokens[static_cast<std::size_t>(id)]);
  };
  Joined merges;
  for (const auto& [left, right] : model.merges)
    merges.add(fmt::format("[{}, {}]", token(left), token(right)));
  return fmt::format("[{}\n]", merges.text());
}

}  // namespace

BpeTokenizer BpeTokenizer::load(const std::string& path) {
  const Json file = parsed(path);
  detail::BpeModel model;
  const Json& bpe = member(path, file, "model");
  const Json& type = member(path, bpe, "type");
  refuse_unless(is_null(type) || type == "BPE", path, "type", "\"BPE\"", type);
  for (const char* part : {"dropout", "continuing_subword_prefix", "end_of_word_suffix",
                           "byte_fallback", "ignore_merges"}) {
    const Json& value = member(path, bpe, part);
    refuse_unless(says_nothing(value), path, part, "null, empty or false", value);
  }
  read_pipeline(path, file, model);
  model.added = read_added(path, member(path, file, "added_tokens"));
  place_tokens(path, read_vocab(path, member(path, bpe, "vocab")), model);
  read_merges(path, member(path, bpe, "merges"), model);
  return BpeTokenizer(std::make_shared<const State>(std::move(model), path));
}

BpeTokenizer BpeTokenizer::load(const std::string& vocab_path, const std::string& merges_path,
                                const std::vector<std::string>& special_tokens) {
  detail::BpeModel model;
  const Entries entries = read_vocab(vocab_path, parsed(vocab_path));
  std::unordered_map<std::string_view, std::int64_t> ids;
  for (const auto& [token, id] : entries) ids[token] = id;
  auto next = static_cast<std::int32_t>(entries.size());
  for (const std::string& token : special_tokens) {
    if (token.empty()) fail("BpeTokenizer", "special tokens must not be empty, got an empty one");
    const auto at = ids.find(token);
    model.added.push_back(
        {token, at == ids.end() ? next++ : static_cast<std::int32_t>(at->second)});
  }
  place_tokens(vocab_path, entries, model);
  const std::vector<std::string> lines = read_lines(merges_path);
  Merges merges(model);
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (!lines[i].starts_with("#version"))
      merges.add(fmt::format("{}:{}", merges_path, i + 1), lines[i]);
  detail::refuse_ordinary_specials(model);
  return BpeTokenizer(std::make_shared<const State>(std::move(model), merges_path));
}

void BpeTokenizer::save(const std::string& path) const {
  const detail::BpeModel& model = state_->model;
  const std::string byte_level = fmt::format(
      R"({{"type": "ByteLevel", "add_prefix_space": {}, "trim_offsets": true, "use_regex": {}}})",
      model.add_prefix_space, model.split_words);
  write(path,
        fmt::format(R"({{
"version": "1.0",
"truncation": null,
"padding": null,
"added_tokens": {added},
"normalizer": null,
"pre_tokenizer": {byte_level},
"post_processor": {byte_level},
"decoder": {byte_level},
"model": {{
"type": "BPE",
"dropout": null,
"unk_token": null,
"continuing_subword_prefix": null,
"end_of_word_suffix": null,
"fuse_unk": false,
"byte_fallback": false,
"ignore_merges": false,
"vocab": {vocab},
"merges": {merges}
}}
}}
)",
                    fmt::arg("added", added_of(path, model)), fmt::arg("byte_level", byte_level),
                    fmt::arg("vocab", vocab_of(path, model)),
                    fmt::arg("merges", merges_of(path, model))));
}

void BpeTokenizer::save(const std::string& vocab_path, const std::string& merges_path) const {
  namespace fs = std::filesystem;
  if (fs::path(vocab_path).lexically_normal() == fs::path(merges_path).lexically_normal())
    fail("BpeTokenizer", "the vocabulary and the merges must be two files, got {} for both",
         vocab_path);
  const detail::BpeModel& model = state_->model;
  std::string merges = "#version: 0.2\n";
  for (const auto& [left, right] : model.merges) {
    const std::string &a = model.tokens[static_cast<std::size_t>(left)],
                      &b = model.tokens[static_cast<std::size_t>(right)];
    for (const std::string& token : {a, b})
      if (token.empty() || token.find_first_of(" \n\r") != token.npos || a.starts_with("#version"))
        fail(merges_path,
             "tokens of merges must be without spaces and line ends, got {}; save a "
             "tokenizer.json",
             detail::quoted(token));
    merges += fmt::format("{} {}\n", a, b);
  }
  write(vocab_path, vocab_of(vocab_path, model));
  write(merges_path, merges);
}

}  // namespace nn::data
