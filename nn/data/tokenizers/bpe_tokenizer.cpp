#include "nn/data/tokenizers/bpe_tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <set>
#include <tuple>

#include "autograd/core/errors.hpp"
#include "nn/data/internal/bpe.hpp"
#include "nn/data/readers/quoted.hpp"

namespace nn::data {

using autograd::fail;

BpeTokenizer::State::State(detail::BpeModel from, std::string_view where) : model(std::move(from)) {
  const auto& tokens = model.tokens;
  for (const std::string& token : tokens) {
    if (!ids.emplace(token, static_cast<std::int32_t>(ids.size())).second)
      fail(where, "each token must have one id, got {} twice", detail::quoted(token));
    pieces.push_back(detail::from_symbols(token));
  }
  is_special.resize(tokens.size());
  for (const auto& added : model.added) {
    const auto id = static_cast<std::size_t>(added.id);
    pieces[id] = added.content;
    is_special[id] = is_special[id] || added.special;
  }
  for (int b = 0; b < 256; ++b) {
    const auto at = ids.find(detail::byte_symbol(static_cast<unsigned char>(b)));
    byte_ids[static_cast<std::size_t>(b)] = at == ids.end() ? -1 : at->second;
  }
  for (const auto& [left, right] : model.merges) {
    const std::string &a = tokens[static_cast<std::size_t>(left)],
                      &b = tokens[static_cast<std::size_t>(right)];
    const auto merged = ids.find(a + b);
    if (merged == ids.end())
      fail(where, "what merges make must be a token, got {} and {}", detail::quoted(a),
           detail::quoted(b));
    const Merge merge{static_cast<std::int32_t>(merges.size()), merged->second};
    if (!merges.emplace(key({left, right}), merge).second)
      fail(where, "each merge must come once, got {} and {} twice", detail::quoted(a),
           detail::quoted(b));
  }
}

void detail::refuse_ordinary_specials(const BpeModel& model) {
  std::set<std::string_view> specials;
  for (const AddedToken& token : model.added) specials.insert(token.content);
  const auto check = [&](const std::string& written) {
    if (specials.contains(written))
      fail("BpeTokenizer",
           "special tokens must be written otherwise than bytes and merged tokens, got {}; put it "
           "in brackets",
           quoted(written));
  };
  for (int b = 0; b < 256; ++b) check(byte_symbol(static_cast<unsigned char>(b)));
  for (const auto& [left, right] : model.merges)
    check(model.tokens[static_cast<std::size_t>(left)] +
          model.tokens[static_cast<std::size_t>(right)]);
}

namespace {

using Ids = std::vector<std::int64_t>;

// The tokens of a word while neighbours are merged: a list within a vector.
template <class State>
class Word {
 public:
  Word(const State& state, std::string_view bytes) : state_(state), symbols_(bytes.size()) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto byte = static_cast<unsigned char>(bytes[i]);
      if (state.byte_ids[byte] < 0)
        fail("BpeTokenizer",
             "the vocabulary must have a token for each byte, got none for 0x{:02X}", byte);
      symbols_[i] = {state.byte_ids[byte], i - 1, i + 1 < bytes.size() ? i + 1 : kNone};
    }
    for (std::size_t i = 0; i + 1 < symbols_.size(); ++i) offer(i);
  }

  // The merge that was learnt first, at the first place, until there is none.
  void merge(Ids& out) {
    while (!offers_.empty()) {
      const auto [rank, at] = offers_.top();
      offers_.pop();
      const auto* merge = merge_at(at);
      if (merge && merge->rank == rank) apply(at, merge->id);
    }
    for (std::size_t i = 0; i != kNone; i = symbols_[i].next) out.push_back(symbols_[i].id);
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Symbol {
    std::int32_t id;  // -1: merged into the one before
    std::size_t previous, next;
  };
  using Offer = std::pair<std::int32_t, std::size_t>;  // rank and place

  const typename State::Merge* merge_at(std::size_t at) const {
    const Symbol& left = symbols_[at];
    if (left.id < 0 || left.next == kNone) return nullptr;
    return state_.merge({left.id, symbols_[left.next].id});
  }
  void offer(std::size_t at) {
    if (const auto* merge = merge_at(at)) offers_.emplace(merge->rank, at);
  }
  void apply(std::size_t at, std::int32_t id) {
    Symbol& left = symbols_[at];
    Symbol& right = symbols_[left.next];
    left.id = id;
    left.next = right.next;
    right.id = -1;
    if (left.next != kNone) symbols_[left.next].previous = at;
    offer(at);
    if (left.previous != kNone) offer(left.previous);
  }

  const State& state_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Offer, std::vector<Offer>, std::greater<>> offers_;
};

// Finds added tokens in a text: at each place the longest.
class Finder {
 public:
  Finder(const std::vector<detail::AddedToken>& added, bool normalized) {
    for (const auto& token : added) {
      if (token.normalized != normalized) continue;
      ids_.emplace(token.content, token.id);
      sizes_.insert(token.content.size());
      begins_[static_cast<unsigned char>(token.content[0])] = true;
    }
  }
  // Calls plain(part) and found(id) for the parts of a text in their order.
  template <class Plain, class Found>
  void split(std::string_view text, const Plain& plain, const Found& found) const {
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size();) {
      const auto [size, id] = token_at(text.substr(at));
      if (size == 0) {
        ++at;
        continue;
      }
      if (at > begin) plain(text.substr(begin, at - begin));
      found(id);
      begin = at += size;
    }
    if (begin < text.size()) plain(text.substr(begin));
  }

 private:
  std::pair<std::size_t, std::int32_t> token_at(std::string_view text) const {
    if (!begins_[static_cast<unsigned char>(text[0])]) return {0, 0};
    for (const std::size_t size : sizes_) {
      if (size > text.size()) continue;
      if (const auto at = ids_.find(text.substr(0, size)); at != ids_.end())
        return {size, at->second};
    }
    return {0, 0};
  }
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::set<std::size_t, std::greater<>> sizes_;
  std::array<bool, 256> begins_{};
};

template <class State>
class Encoder {
 public:
  explicit Encoder(const State& state)
      : state_(state), first_(state.model.added, false), second_(state.model.added, true) {}

  ag::Tensor operator()(std::string_view text) {
    ids_.clear();
    const auto found = [&](std::int32_t id) { ids_.push_back(id); };
    first_.split(
        text,
        [&](std::string_view part) {
          second_.split(
              part, [&](std::string_view plain) { words(plain); }, found);
        },
        found);
    ag::Tensor out = ag::empty({static_cast<std::int64_t>(ids_.size())}, ag::int64);
    std::copy(ids_.begin(), ids_.end(), out.mutable_data<std::int64_t>());
    return out;
  }

 private:
  void words(std::string_view text) {
    std::string prefixed;
    if (state_.model.add_prefix_space && !text.starts_with(' '))
      text = prefixed = ' ' + std::string(text);
    while (!text.empty()) {
      const std::size_t size =
          state_.model.split_words ? detail::gpt2_word_size(text) : text.size();
      word(text.substr(0, size));
      text.remove_prefix(size);
    }
  }

  // Most words of a text come again.
  void word(std::string_view bytes) {
    const auto [at, is_new] = known_.try_emplace(std::string(bytes));
    if (is_new) Word(state_, bytes).merge(at->second);
    ids_.insert(ids_.end(), at->second.begin(), at->second.end());
  }

  const State& state_;
  Finder first_, second_;
  std::unordered_map<std::string, Ids> known_;
  Ids ids_;
};

}  // namespace

std::int64_t BpeTokenizer::size() const { return static_cast<std::int64_t>(tokens().size()); }
const std::vector<std::string>& BpeTokenizer::tokens() const& { return state_->model.tokens; }
std::vector<std::string> BpeTokenizer::tokens() && { return state_->model.tokens; }
bool BpeTokenizer::contains(std::string_view token) const { return state_->ids.contains(token); }

std::int64_t BpeTokenizer::index(std::string_view token) const {
  const auto at = state_->ids.find(token);
  if (at == state_->ids.end())
    fail("BpeTokenizer", "tokens must be in the vocabulary, got {}", detail::quoted(token));
  return at->second;
}

ag::Tensor BpeTokenizer::encode(std::string_view text) const { return Encoder(*state_)(text); }

std::vector<ag::Tensor> BpeTokenizer::encode(const std::vector<std::string>& texts) const {
  Encoder encoder(*state_);
  std::vector<ag::Tensor> all;
  all.reserve(texts.size());
  for (const std::string& text : texts) all.push_back(encoder(text));
  return all;
}

std::string BpeTokenizer::decode(const ag::Tensor& ids, const DecodeOptions& options) const {
  if (!ids.defined() || ids.dtype() != ag::int64)
    fail("BpeTokenizer", "ids must be int64, got {}",
         ids.defined() ? ag::name(ids.dtype()) : "an undefined tensor");
  std::string text;
  const auto* p = ids.data<std::int64_t>();
  for (std::int64_t i = 0; i < ids.numel(); ++i) {
    if (p[i] < 0 || p[i] >= size())
      fail("BpeTokenizer", "ids must be in [0, {}), got {}", size(), p[i]);
    const auto id = static_cast<std::size_t>(p[i]);
    if (!options.skip_special_tokens || !state_->is_special[id]) text += state_->pieces[id];
  }
  return text;
}

}  // namespace nn::data
