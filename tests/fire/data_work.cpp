#include <memory>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/fire/bytes.hpp"
#include "tests/fire/work.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;

namespace fire {
namespace {

// One loader whose epochs fail, then go on from the start.
Attempt epoch(std::int64_t prefetch, std::int64_t workers) {
  const data::TensorDataset set(ag::reshape(ag::arange(24), {12, 2}), ag::arange(12));
  const auto loader = std::make_shared<data::DataLoader<>>(
      set, data::DataLoaderOptions<>{.batch_size = 2,
                                     .shuffle = true,
                                     .seed = 4,
                                     .prefetch = prefetch,
                                     .workers = workers,
                                     .transform = [](data::Batch b, ag::Generator& generator) {
                                       b.x = b.x + ag::randint(0, 9, b.x.shape(), generator);
                                       return b;
                                     }});
  return {[loader] {
    loader->set_epoch(1);
    std::string all;
    for (const auto& [x, y] : *loader) all += bytes_of(x) + bytes_of(y);
    return all;
  }};
}
const Work plain{"an epoch", [] { return epoch(0, 0); }};
const Work prefetched{"an epoch with prefetch", [] { return epoch(2, 0); }, true};
const Work workers{"an epoch with workers", [] { return epoch(0, 3); }, true};

const std::vector<std::vector<std::string>> kSentences(3, {"the", "cat", "sat", "on", "the", "mat",
                                                           "with", "a", "cat"});

const Work word2vec{
    "word2vec", [] {
      return Attempt{[] {
        return bytes_of(
            data::train_word2vec(kSentences, {.dim = 4, .min_count = 1, .epochs = 2, .shards = 2})
                .vectors());
      }};
    }};

const std::vector<std::string> kLines{"the cat the mat", "the cats and the mats"};
const Work bpe{"a tokenizer trained", [] {
                 return Attempt{[] {
                   const auto t = data::BpeTokenizer::train(
                       kLines, {.vocab_size = 270, .special_tokens = {"<end>"}});
                   const ag::Tensor ids = t.encode("the cat <end>");
                   return bytes_of(ids);
                 }};
               }};
const Work bpe_files{
    "a tokenizer saved and loaded", [] {
      const auto scratch = std::make_shared<Scratch>();
      const auto trained = std::make_shared<const data::BpeTokenizer>(
          data::BpeTokenizer::train(kLines, {.vocab_size = 258, .special_tokens = {"<end>"}}));
      return Attempt{[=] {
        trained->save(*scratch / "t.json");
        trained->save(*scratch / "v.json", *scratch / "m.txt");
        const auto one = data::BpeTokenizer::load(*scratch / "t.json"),
                   pair = data::BpeTokenizer::load(*scratch / "v.json", *scratch / "m.txt");
        return bytes_of(one.encode("the cat")) + bytes_of(pair.encode("the cat"));
      }};
    }};
const Work csv{"a table read and encoded", [] {
                 const auto scratch = std::make_shared<Scratch>();
                 write_bytes(*scratch / "t.csv", "a,b,c\n1,x,2.5\n2,\"y, z\",3\n3,x,4\n");
                 return Attempt{[scratch] {
                   data::Table table = data::read_csv(*scratch / "t.csv", {.text = {"b"}});
                   data::TableEncoder encoder;
                   encoder.fit(table);
                   return bytes_of(encoder.transform(table).values());
                 }};
               }};

const Work vocabulary{"a vocabulary", [] {
                        const auto scratch = std::make_shared<Scratch>();
                        return Attempt{[scratch] {
                          data::Vocabulary({"<unk>", "a b", "c"}).save(*scratch / "v");
                          return data::Vocabulary::load(*scratch / "v").words().back();
                        }};
                      }};

std::vector<Work> works() {
  return {plain, prefetched, workers, word2vec, bpe, bpe_files, csv, vocabulary};
}
const Works here(works);

}  // namespace
}  // namespace fire
