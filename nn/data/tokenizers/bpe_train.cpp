#include <algorithm>
#include <limits>
#include <queue>

#include "autograd/core/errors.hpp"
#include "nn/data/internal/bpe.hpp"
#include "nn/data/internal/unicode.hpp"
#include "nn/data/readers/quoted.hpp"

namespace nn::data {

using autograd::fail;

namespace {

using detail::Pair;

struct Word {
  std::vector<std::int32_t> ids;
  std::int64_t count;
};

// The pair that is merged next comes last.
struct Candidate {
  std::int64_t count;
  Pair pair;
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.count != b.count ? a.count < b.count : a.pair > b.pair;
  }
};

struct PairHash {
  std::size_t operator()(const Pair& p) const {
    return std::hash<std::uint64_t>()(std::uint64_t{static_cast<std::uint32_t>(p.first)} << 32 |
                                      static_cast<std::uint32_t>(p.second));
  }
};

class Trainer {
 public:
  Trainer(const std::vector<std::string>& lines, const BpeOptions& options) : options_(options) {
    for (const std::string& token : options.special_tokens) {
      model_.added.push_back({token, id_of(token), true, false});
    }
    for (const unsigned char byte : detail::bytes_by_symbol())
      byte_ids_[byte] = id_of(detail::byte_symbol(byte));
    model_.add_prefix_space = options.add_prefix_space;
    count_words(lines);
  }

  detail::BpeModel train() {
    for (std::size_t i = 0; i < words_.size(); ++i) add_pairs(i, -1);
    offer_changed();
    while (static_cast<std::int64_t>(model_.tokens.size()) < options_.vocab_size &&
           !candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      const std::int64_t now = pairs_[best.pair].count;
      if (now != best.count) {  // it has become rarer since
        if (now > 0) candidates_.push({now, best.pair});
        continue;
      }
      if (now < std::max<std::int64_t>(1, options_.min_frequency)) break;
      merge(best.pair);
    }
    return std::move(model_);
  }

 private:
  std::int32_t id_of(const std::string& token) {
    const auto [at, is_new] = ids_.emplace(token, static_cast<std::int32_t>(model_.tokens.size()));
    if (is_new) model_.tokens.push_back(token);
    return at->second;
  }

  void count_words(const std::vector<std::string>& lines) {
    std::unordered_map<std::string, std::int64_t> counts;
    for (const std::string& line : lines) {
      const bool prefix = options_.add_prefix_space && !line.empty() && line[0] != ' ';
      const std::string prefixed = prefix ? ' ' + line : std::string();
      for (std::string_view rest = prefix ? prefixed : line; !rest.empty();) {
        const std::size_t size = detail::gpt2_word_size(rest);
        ++counts[std::string(rest.substr(0, size))];
        rest.remove_prefix(size);
      }
    }
    for (const auto& [word, count] : counts) {
      words_.push_back({{}, count});
      for (const char c : word)
        words_.back().ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
    }
  }

  // Counts the pairs of a word; those with `made`, or all if that is -1, are new to it.
  void add_pairs(std::size_t word, std::int32_t made) {
    const auto& [ids, count] = words_[word];
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const Pair pair{ids[i], ids[i + 1]};
      auto& found = pairs_[pair];
      found.count += count;
      if (made >= 0 && pair.first != made && pair.second != made) continue;
      if (found.words.empty() || found.words.back() != word) found.words.push_back(word);
      changed_.push_back(pair);
    }
  }
  void remove_pairs(const Word& word) {
    for (std::size_t i = 0; i + 1 < word.ids.size(); ++i)
      pairs_[{word.ids[i], word.ids[i + 1]}].count -= word.count;
  }

  void merge(Pair pair) {
    model_.merges.push_back(pair);
    const auto& tokens = model_.tokens;
    const std::int32_t made = id_of(tokens[static_cast<std::size_t>(pair.first)] +
                                    tokens[static_cast<std::size_t>(pair.second)]);
    for (const std::size_t i : std::exchange(pairs_[pair].words, {})) {
      Word& word = words_[i];
      remove_pairs(word);
      replace(word.ids, pair, made);
      add_pairs(i, made);
    }
    offer_changed();
  }

  // From left to right, so that of "aaa" the first two are merged.
  static void replace(std::vector<std::int32_t>& ids, Pair pair, std::int32_t made) {
    std::size_t to = 0;
    for (std::size_t i = 0; i < ids.size(); ++to) {
      const bool here = ids[i] == pair.first && i + 1 < ids.size() && ids[i + 1] == pair.second;
      ids[to] = here ? made : ids[i];
      i += here ? 2 : 1;
    }
    ids.resize(to);
  }

  void offer_changed() {
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const Pair& pair : changed_) candidates_.push({pairs_[pair].count, pair});
    changed_.clear();
  }

  struct Found {
    std::int64_t count = 0;
    std::vector<std::size_t> words{};  // where it may be
  };

  const BpeOptions& options_;
  detail::BpeModel model_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<Word> words_;
  std::unordered_map<Pair, Found, PairHash> pairs_;
  std::vector<Pair> changed_;
  std::priority_queue<Candidate> candidates_;
};

void check(const BpeOptions& options) {
  const auto least = static_cast<std::int64_t>(256 + options.special_tokens.size());
  if (options.vocab_size < least || options.vocab_size > std::numeric_limits<std::int32_t>::max())
    fail("BpeTokenizer",
         "vocab_size must be in [{}, {}], bytes and special tokens included, got {}", least,
         std::numeric_limits<std::int32_t>::max(), options.vocab_size);
  auto tokens = options.special_tokens;
  std::sort(tokens.begin(), tokens.end());
  if (const auto twin = std::adjacent_find(tokens.begin(), tokens.end()); twin != tokens.end())
    fail("BpeTokenizer", "each special token must come once, got {} twice", detail::quoted(*twin));
  for (const std::string& token : tokens) {
    if (token.empty()) fail("BpeTokenizer", "special tokens must not be empty, got an empty one");
    detail::check_utf8("BpeTokenizer", token);
  }
}

}  // namespace

BpeTokenizer BpeTokenizer::train(const std::vector<std::string>& lines, const BpeOptions& options) {
  check(options);
  detail::BpeModel model = Trainer(lines, options).train();
  detail::refuse_ordinary_specials(model);
  return BpeTokenizer(
      std::make_shared<const BpeTokenizer::State>(std::move(model), "BpeTokenizer"));
}

}  // namespace nn::data
