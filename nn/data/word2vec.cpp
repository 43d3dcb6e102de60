#include "nn/data/word2vec.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <unordered_map>

#include "autograd/core/cpu.hpp"
#include "autograd/core/errors.hpp"
#include "autograd/core/kernel_call.hpp"
#include "nn/data/isa/word2vec.hpp"

namespace nn::data {
namespace {

constexpr std::string_view kOp = "train_word2vec";
constexpr std::int64_t kMostNumbers = 1'000'000;  // of a word, as in a file
using Ids = std::vector<std::int32_t>;
using Sentences = std::vector<std::vector<std::string>>;

void check(const Word2VecOptions& o) {
  const auto at_least_one = [](std::string_view name, std::int64_t v) {
    if (v < 1) ag::fail(kOp, "{} must be at least 1, got {}", name, v);
  };
  if (o.dim < 1 || o.dim > kMostNumbers)
    ag::fail(kOp, "dim must be in [1, {}], got {}", kMostNumbers, o.dim);
  at_least_one("window", o.window);
  at_least_one("min_count", o.min_count), at_least_one("epochs", o.epochs);
  if (o.negative < 1 || o.negative > 63)
    ag::fail(kOp, "negative must be in [1, 63], got {}", o.negative);
  if (o.shards < 1 || o.shards > 64) ag::fail(kOp, "shards must be in [1, 64], got {}", o.shards);
  if (!(o.sample >= 0 && std::isfinite(o.sample)))
    ag::fail(kOp, "sample must be at least 0, got {}", o.sample);
  if (!(o.lr >= o.min_lr && o.min_lr >= 0 && std::isfinite(o.lr)))
    ag::fail(kOp, "lr must be at least min_lr, which must be at least 0, got {} and {}", o.lr,
             o.min_lr);
  if (!std::isfinite(o.exponent)) ag::fail(kOp, "exponent must be finite, got {}", o.exponent);
}

// Words by falling count, and the sentences by their numbers, one after the other.
struct Corpus {
  std::vector<std::string> words;
  std::vector<std::int64_t> counts;
  Ids ids;
  std::vector<std::size_t> ends;  // of the sentences among the ids
  std::int64_t total = 0;

  Corpus(const Sentences& sentences, std::int64_t min_count) {
    std::unordered_map<std::string_view, std::int32_t> known;
    std::vector<std::string_view> seen;
    std::vector<std::int64_t> count;
    for (const auto& sentence : sentences)
      for (const std::string& word : sentence) {
        const auto next = static_cast<std::int32_t>(seen.size());
        const auto [at, fresh] = known.emplace(word, next);
        if (fresh) {
          if (next == std::numeric_limits<std::int32_t>::max())
            ag::fail(kOp, "there must be fewer than 2^31 different words, got more");
          seen.push_back(word), count.push_back(0);
        }
        ++count[static_cast<std::size_t>(at->second)];
        ids.push_back(at->second);
      }
    renumber(seen, count, min_count);
    number(sentences);
  }

 private:
  std::vector<std::int32_t> place_;  // of the words by first sight; -1: left out

  void renumber(const std::vector<std::string_view>& seen, const std::vector<std::int64_t>& count,
                std::int64_t min_count) {
    std::vector<std::size_t> order(seen.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return count[a] > count[b]; });
    place_.assign(seen.size(), -1);
    for (const std::size_t i : order) {
      if (count[i] < min_count) break;
      place_[i] = static_cast<std::int32_t>(words.size());
      words.emplace_back(seen[i]);
      counts.push_back(count[i]);
      total += count[i];
    }
  }
  void number(const Sentences& sentences) {
    std::size_t from = 0, to = 0;
    for (const auto& sentence : sentences) {
      for (std::size_t i = 0; i < sentence.size(); ++i) {
        const std::int32_t id = place_[static_cast<std::size_t>(ids[from++])];
        if (id >= 0) ids[to++] = id;
      }
      ends.push_back(to);
    }
    ids.resize(to);
  }
};

// SplitMix64 (Steele, Lea and Flood 2014): small enough for one draw in a few cycles.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  // In [0, n), n < 2^32.
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>((next() >> 32) * n >> 32);
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

// Draws numbers by weights in one look-up (Walker 1977; Vose 1991).
class AliasTable {
 public:
  explicit AliasTable(const std::vector<double>& weights) : entries_(weights.size()) {
    const double mean =
        std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(weights.size());
    std::vector<double> left;
    std::vector<std::size_t> small, large;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      left.push_back(weights[i] / mean);
      (left[i] < 1 ? small : large).push_back(i);
      entries_[i] = {~std::uint32_t{0}, static_cast<std::int32_t>(i)};
    }
    while (!small.empty() && !large.empty()) {
      const std::size_t s = small.back(), l = large.back();
      small.pop_back();
      entries_[s] = {static_cast<std::uint32_t>(left[s] * 0x1p32), static_cast<std::int32_t>(l)};
      left[l] -= 1 - left[s];
      if (left[l] >= 1) continue;
      large.pop_back();
      small.push_back(l);
    }
  }
  std::int32_t draw(Random& random) const {
    const std::uint64_t bits = random.next();
    const std::uint64_t i = (bits >> 32) * entries_.size() >> 32;
    const Entry& e = entries_[static_cast<std::size_t>(i)];
    return static_cast<std::uint32_t>(bits) < e.threshold ? static_cast<std::int32_t>(i) : e.other;
  }

 private:
  struct Entry {
    std::uint32_t threshold;
    std::int32_t other;
  };
  std::vector<Entry> entries_;
};

std::vector<double> weights_of(const Corpus& corpus, double exponent) {
  std::vector<double> weights;
  for (const std::int64_t count : corpus.counts)
    weights.push_back(std::pow(static_cast<double>(count), exponent));
  return weights;
}

// What all threads read.
struct Plan {
  const Corpus& corpus;
  const Word2VecOptions& o;
  AliasTable negatives;
  std::vector<double> kept;  // the probability that a word is not left out

  Plan(const Corpus& c, const Word2VecOptions& options)
      : corpus(c), o(options), negatives(weights_of(c, options.exponent)) {
    for (const std::int64_t count : corpus.counts) {
      const double ratio =
          o.sample * static_cast<double>(corpus.total) / static_cast<double>(count);  // sample / f
      kept.push_back(o.sample == 0 ? 2 : std::sqrt(ratio) + ratio);
    }
  }
  std::size_t width() const { return static_cast<std::size_t>(o.dim); }
  // Before word i of the corpus in an epoch.
  float lr(std::int64_t epoch, std::size_t i) const {
    const double done = static_cast<double>(epoch) +
                        static_cast<double>(i) / static_cast<double>(corpus.ids.size());
    return static_cast<float>(o.lr + (o.min_lr - o.lr) * done / static_cast<double>(o.epochs));
  }
};

// The rows of a table: themselves, or copies of those that are used, whose changes wait.
class Rows {
 public:
  Rows(std::vector<float>& table, std::size_t width, bool copies)
      : table_(table), width_(width), slots_(copies ? table.size() / width : 0, -1) {}

  // Which of the rows at `data()` is row i; the others may move.
  std::int32_t place(std::int32_t i) {
    if (slots_.empty()) return i;
    std::int32_t& slot = slots_[static_cast<std::size_t>(i)];
    if (slot >= 0) return slot;
    slot = static_cast<std::int32_t>(used_.size());
    used_.push_back(i);
    const auto from = table_.begin() + offset(i);
    copies_.insert(copies_.end(), from, from + static_cast<std::ptrdiff_t>(width_));
    return slot;
  }
  float* data() { return slots_.empty() ? table_.data() : copies_.data(); }
  float* row(std::int32_t i) {
    const std::int32_t at = place(i);
    return data() + offset(at);
  }
  // Copies become what has changed.
  void subtract() {
    for (std::size_t u = 0; u < used_.size(); ++u)
      for (std::size_t k = 0; k < width_; ++k)
        copies_[u * width_ + k] -= table_[static_cast<std::size_t>(offset(used_[u])) + k];
  }
  // Adds to the table what has changed of the rows from `begin` to `end`.
  void add(std::int64_t begin, std::int64_t end) {
    for (std::size_t u = 0; u < used_.size(); ++u) {
      if (used_[u] < begin || used_[u] >= end) continue;
      for (std::size_t k = 0; k < width_; ++k)
        table_[static_cast<std::size_t>(offset(used_[u])) + k] += copies_[u * width_ + k];
    }
  }
  void forget() {
    for (const std::int32_t i : used_) slots_[static_cast<std::size_t>(i)] = -1;
    used_.clear();
    copies_.clear();
  }

 private:
  std::ptrdiff_t offset(std::int32_t i) const { return i * static_cast<std::ptrdiff_t>(width_); }
  std::vector<float>& table_;
  std::size_t width_;
  Ids slots_, used_;
  std::vector<float> copies_;
};

// Works on sentences, one after the other.
class Worker {
 public:
  Worker(const Plan& plan, std::vector<float>& in, std::vector<float>& out, bool copies)
      : in(in, plan.width(), copies),
        out(out, plan.width(), copies),
        plan_(plan),
        o_(plan.o),
        step_(kernels::chosen<NegativeSampling>()),
        add_(kernels::chosen<AddScaled>()),
        change_(plan.width()),
        mean_(plan.width()) {}

  // A sentence: words `begin` to `end` of the corpus.
  void run(std::int64_t epoch, std::size_t begin, std::size_t end, Random& random) {
    lr_ = plan_.lr(epoch, begin);
    take(begin, end, random);
    for (std::size_t i = 0; i < sentence_.size(); ++i) centre(i, random);
  }

  Rows in, out;

 private:
  // The words of a sentence that are not left out.
  void take(std::size_t begin, std::size_t end, Random& random) {
    sentence_.clear();
    for (; begin < end; ++begin) {
      const std::int32_t id = plan_.corpus.ids[begin];
      const double keep = plan_.kept[static_cast<std::size_t>(id)];
      if (keep >= 1 || random.uniform() < keep) sentence_.push_back(id);
    }
  }

  void centre(std::size_t i, Random& random) {
    const auto window = static_cast<std::uint32_t>(std::min<std::int64_t>(o_.window, 1 << 30));
    const std::size_t reach = std::size_t{1} + random.below(window);
    const std::size_t begin = i - std::min(i, reach);
    const std::size_t end = std::min(sentence_.size() - 1, i + reach) + 1;
    if (o_.cbow) return from_neighbours(i, begin, end, random);
    for (std::size_t j = begin; j < end; ++j) {
      if (j == i) continue;
      float* h = in.row(sentence_[j]);
      step(h, sentence_[i], random);
      add_(change_.data(), 1, h, o_.dim);
    }
  }

  void from_neighbours(std::size_t i, std::size_t begin, std::size_t end, Random& random) {
    if (end - begin < 2) return;
    const float share = o_.cbow_mean ? 1 / static_cast<float>(end - begin - 1) : 1;
    std::ranges::fill(mean_, 0.0f);
    for (std::size_t j = begin; j < end; ++j)
      if (j != i) add_(in.row(sentence_[j]), share, mean_.data(), o_.dim);
    step(mean_.data(), sentence_[i], random);
    for (std::size_t j = begin; j < end; ++j)
      if (j != i) add_(change_.data(), share, in.row(sentence_[j]), o_.dim);
  }

  // Draws other words for a pair, and steps.
  void step(const float* h, std::int32_t word, Random& random) {
    std::int32_t rows[64] = {word};
    int count = 1;
    for (std::int64_t tries = 0; count <= o_.negative && tries < 4 * o_.negative; ++tries) {
      rows[count] = plan_.negatives.draw(random);
      if (std::find(rows, rows + count, rows[count]) == rows + count) ++count;
    }
    for (int k = 0; k < count; ++k) rows[k] = out.place(rows[k]);
    step_(h, out.data(), rows, count, lr_, change_.data(), o_.dim);
  }

  const Plan& plan_;
  const Word2VecOptions& o_;
  NegativeSampling::Type step_;
  AddScaled::Type add_;
  std::vector<float> change_, mean_;
  Ids sentence_;
  float lr_ = 0;
};

// Sentences with some words together, which a worker takes at a time, with random numbers of their
// own.
struct Piece {
  std::size_t first, last;  // sentences
  std::size_t end;          // its words end there
};
std::vector<Piece> pieces_of(const Corpus& corpus, std::size_t words) {
  std::vector<Piece> pieces;
  std::size_t first = 0, begin = 0;
  for (std::size_t s = 0; s < corpus.ends.size(); ++s)
    if (corpus.ends[s] - begin >= words || s + 1 == corpus.ends.size()) {
      pieces.push_back({first, s + 1, corpus.ends[s]});
      first = s + 1;
      begin = corpus.ends[s];
    }
  return pieces;
}

// The words at most of pieces that begin with the same vectors: where each of many moves a row as
// far as it has to go, their sum goes too far, and further the next time.
std::size_t words_of_round(const Corpus& corpus) {
  return std::clamp<std::size_t>(corpus.words.size() / 2, 1, 2000);
}

class Trainer {
 public:
  Trainer(const Corpus& corpus, const Word2VecOptions& options)
      : plan_(corpus, options),
        round_(words_of_round(corpus)),
        pieces_(pieces_of(corpus, round_ / static_cast<std::size_t>(options.shards))),
        in_(corpus.words.size() * plan_.width(), 0),
        out_(in_.size(), 0) {
    Random random(options.seed);
    for (float& v : in_)
      v = static_cast<float>((random.uniform() - 0.5) / static_cast<double>(options.dim));
    for (std::int64_t s = 0; s < options.shards; ++s)
      workers_.push_back(std::make_unique<Worker>(plan_, in_, out_, options.shards > 1));
  }

  void run() {
    for (std::int64_t epoch = 0; epoch < plan_.o.epochs; ++epoch)
      for (std::size_t first = 0, last = 0; first < pieces_.size(); first = last) {
        last = end_of_round(first);
        workers_.size() == 1 ? work(*workers_[0], epoch, first) : round(epoch, first, last);
      }
  }
  const std::vector<float>& vectors() const { return in_; }

 private:
  void work(Worker& worker, std::int64_t epoch, std::size_t piece) {
    const std::uint64_t number = static_cast<std::uint64_t>(epoch) * pieces_.size() + piece + 1;
    Random random(Random(plan_.o.seed ^ number << 32 ^ number).next());
    const auto& ends = plan_.corpus.ends;
    for (std::size_t s = pieces_[piece].first; s < pieces_[piece].last; ++s)
      worker.run(epoch, s == 0 ? 0 : ends[s - 1], ends[s], random);
  }

  std::size_t end_of_round(std::size_t first) const {
    const std::size_t begin = first == 0 ? 0 : pieces_[first - 1].end;
    std::size_t last = first + 1;
    while (last < pieces_.size() && last - first < workers_.size() &&
           pieces_[last].end - begin <= round_)
      ++last;
    return last;
  }

  // Pieces, each from the values before.
  void round(std::int64_t epoch, std::size_t first, std::size_t last) {
    const auto count = static_cast<std::int64_t>(last - first);
    ag::parallel_for(count, 1, 1e6, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s) {
        Worker& worker = *workers_[static_cast<std::size_t>(s)];
        work(worker, epoch, first + static_cast<std::size_t>(s));
        worker.in.subtract(), worker.out.subtract();
      }
    });
    const auto words = static_cast<std::int64_t>(plan_.corpus.words.size());
    ag::parallel_for(words, 64, 50, [&](std::int64_t begin, std::int64_t end) {
      for (const auto& worker : workers_) worker->in.add(begin, end), worker->out.add(begin, end);
    });
    for (const auto& worker : workers_) worker->in.forget(), worker->out.forget();
  }

  Plan plan_;
  std::size_t round_;  // words
  std::vector<Piece> pieces_;
  std::vector<float> in_, out_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace

WordVectors train_word2vec(const std::vector<std::vector<std::string>>& sentences,
                           const Word2VecOptions& options) {
  check(options);
  Corpus corpus(sentences, options.min_count);
  if (corpus.words.size() < 2)
    ag::fail(kOp, "at least 2 words must occur {} times, got {}", options.min_count,
             corpus.words.size());
  const auto made = [&] {
    try {
      return std::make_unique<Trainer>(corpus, options);
    } catch (const std::bad_alloc&) {
      ag::fail(kOp, "the vectors must fit in memory, got {} words of {} numbers; lower dim",
               corpus.words.size(), options.dim);
    }
  }();
  Trainer& trainer = *made;
  trainer.run();
  for (const float v : trainer.vectors())
    if (!std::isfinite(v))
      ag::fail(kOp, "vectors must stay finite, got {} after training; lower lr, which was {}", v,
               options.lr);
  const auto size = static_cast<std::int64_t>(corpus.words.size());
  return WordVectors(std::move(corpus.words),
                     ag::from_data(trainer.vectors().data(), {size, options.dim}));
}

}  // namespace nn::data
