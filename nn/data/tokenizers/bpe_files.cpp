#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "autograd/core/errors.hpp"
#include "nn/data/internal/bpe.hpp"
#include "nn/data/internal/unicode.hpp"
#include "nn/data/readers/input_file.hpp"
#include "nn/data/readers/quoted.hpp"
#include "nn/data/readers/text.hpp"
#include "nn/io/internal/replacement.hpp"

namespace nn::data {

using autograd::fail;
using nlohmann::json;

namespace {

using Entries = std::vector<std::pair<std::string, std::int64_t>>;  // tokens and their ids

json parsed(const std::string& path) {
  try {
    return json::parse(read_text(path));
  } catch (const json::parse_error& e) {
    fail(path, "must be JSON, got something else at byte {}", e.byte);
  } catch (const json::out_of_range&) {
    fail(path, "numbers in JSON must be finite, got one that is not");
  }
}

// What a value is, for an error.
std::string shown(const json& value) {
  if (value.is_object() && value.contains("type") && value["type"].is_string())
    return detail::quoted(value["type"].get<std::string>());
  const std::string text = value.dump();
  return autograd::quoted(text, 40);
}

// A member of an object, null if it is not there.
const json& member(const std::string& path, const json& object, const char* name) {
  static const json null;
  if (!object.is_object())
    fail(path, "must be an object that may have \"{}\", got {}", name, shown(object));
  const auto at = object.find(name);
  return at == object.end() ? null : *at;
}

bool flag(const std::string& path, const json& object, const char* name, bool otherwise) {
  const json& value = member(path, object, name);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) fail(path, "\"{}\" must be true or false, got {}", name, shown(value));
  return value.get<bool>();
}

std::int64_t id(const std::string& path, const json& value) {
  if (!value.is_number_integer() || value < 0 || value >= std::int64_t{1} << 31)
    fail(path, "ids must be whole numbers in [0, 2^31), got {}", shown(value));
  return value.get<std::int64_t>();
}

// Refuses what would give other ids than those of this tokenizer.
void refuse_unless(bool holds, const std::string& path, const char* part, const char* wanted,
                   const json& value) {
  if (!holds) fail(path, "\"{}\" must be {}, got {}", part, wanted, shown(value));
}
bool is_byte_level(const json& value) {
  return value.is_object() && value.contains("type") && value["type"] == "ByteLevel";
}
bool says_nothing(const json& value) {
  return value.is_null() || value == "" || value == 0 || value == false;
}

void read_pipeline(const std::string& path, const json& file, detail::BpeModel& model) {
  for (const char* part : {"normalizer", "truncation", "padding"}) {
    const json& value = member(path, file, part);
    refuse_unless(value.is_null(), path, part, "null", value);
  }
  const json& pre = member(path, file, "pre_tokenizer");
  refuse_unless(is_byte_level(pre), path, "pre_tokenizer", "\"ByteLevel\"", pre);
  for (const char* part : {"post_processor", "decoder"}) {
    const json& value = member(path, file, part);
    refuse_unless(value.is_null() || is_byte_level(value), path, part, "\"ByteLevel\" or null",
                  value);
  }
  model.add_prefix_space = flag(path, pre, "add_prefix_space", true);
  model.split_words = flag(path, pre, "use_regex", true);
}

Entries read_vocab(const std::string& path, const json& vocab) {
  if (!vocab.is_object()) fail(path, "the vocabulary must be an object, got {}", shown(vocab));
  Entries entries;
  for (const auto& [token, value] : vocab.items()) entries.emplace_back(token, id(path, value));
  return entries;
}

std::vector<detail::AddedToken> read_added(const std::string& path, const json& list) {
  std::vector<detail::AddedToken> added;
  if (list.is_null()) return added;
  if (!list.is_array()) fail(path, "\"added_tokens\" must be a list, got {}", shown(list));
  for (const json& entry : list) {
    for (const char* option : {"single_word", "lstrip", "rstrip"})
      refuse_unless(!flag(path, entry, option, false), path, option, "false", true);
    const json& content = member(path, entry, "content");
    if (!content.is_string() || content == "")
      fail(path, "added tokens must have a \"content\", got {}", shown(content));
    added.push_back({content.get<std::string>(),
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

void read_merges(const std::string& path, const json& list, detail::BpeModel& model) {
  if (!list.is_array()) fail(path, "\"merges\" must be a list, got {}", shown(list));
  Merges merges(model);
  for (const json& entry : list) {
    if (entry.is_string())
      merges.add(path, entry.get_ref<const std::string&>());
    else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string())
      merges.add(path, entry[0].get_ref<const std::string&>(),
                 entry[1].get_ref<const std::string&>());
    else
      fail(path, "a merge must be two tokens, got {}", shown(entry));
  }
}

void write(const std::string& path, std::string_view text) {
  nn::detail::Replacement file(path);
  file.write(text);
  file.commit();
}

json vocab_of(const detail::BpeModel& model) {
  json vocab = json::object();
  for (std::size_t i = 0; i < model.tokens.size(); ++i) vocab[model.tokens[i]] = i;
  return vocab;
}

}  // namespace

BpeTokenizer BpeTokenizer::load(const std::string& path) {
  const json file = parsed(path);
  detail::BpeModel model;
  const json& bpe = member(path, file, "model");
  const json& type = member(path, bpe, "type");
  refuse_unless(type.is_null() || type == "BPE", path, "type", "\"BPE\"", type);
  for (const char* part : {"dropout", "continuing_subword_prefix", "end_of_word_suffix",
                           "byte_fallback", "ignore_merges"}) {
    const json& value = member(path, bpe, part);
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
  json added = json::array();
  for (const auto& token : model.added)
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  const json byte_level{{"type", "ByteLevel"},
                        {"add_prefix_space", model.add_prefix_space},
                        {"trim_offsets", true},
                        {"use_regex", model.split_words}};
  json merges = json::array();
  for (const auto& [left, right] : model.merges)
    merges.push_back({model.tokens[static_cast<std::size_t>(left)],
                      model.tokens[static_cast<std::size_t>(right)]});
  const json bpe{{"type", "BPE"},
                 {"dropout", nullptr},
                 {"unk_token", nullptr},
                 {"continuing_subword_prefix", nullptr},
                 {"end_of_word_suffix", nullptr},
                 {"fuse_unk", false},
                 {"byte_fallback", false},
                 {"ignore_merges", false},
                 {"vocab", vocab_of(model)},
                 {"merges", merges}};
  write(path, json{{"version", "1.0"},
                   {"truncation", nullptr},
                   {"padding", nullptr},
                   {"added_tokens", added},
                   {"normalizer", nullptr},
                   {"pre_tokenizer", byte_level},
                   {"post_processor", byte_level},
                   {"decoder", byte_level},
                   {"model", bpe}}
                  .dump(1));
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
  write(vocab_path, vocab_of(model).dump());
  write(merges_path, merges);
}

}  // namespace nn::data
