#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <utility>

#include "nn/data/readers/word_vectors.hpp"
#include "nn/nn.hpp"
#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;

namespace fuzz {
namespace {

// The bytes of what `write` writes.
std::string written(const std::function<void(const std::string& path)>& write) {
  const Scratch scratch;
  const std::string path = scratch / "f";
  write(path);
  return read_bytes(path);
}

void must(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// Reads every element, for the sanitizers.
void touch(const Tensor& t) {
  std::size_t sum = 0;
  const auto* bytes = static_cast<const unsigned char*>(t.raw());
  for (std::size_t i = 0; i < static_cast<std::size_t>(t.numel()) * ag::size_of(t.dtype()); ++i)
    sum += bytes[i];
  must(sum < ~std::size_t{0}, "a sum of bytes");
}
void touch(const nn::StateDict& state) {
  for (const auto& [name, tensor] : state) touch(tensor);
}

std::string bytes_of(const nn::StateDict& state) {
  std::string bytes;
  for (const auto& [name, tensor] : state)
    bytes.append(static_cast<const char*>(tensor.raw()),
                 static_cast<std::size_t>(tensor.numel()) * ag::size_of(tensor.dtype()));
  return bytes;
}

// A refused file must not change what it would have been loaded into.
template <class Load>
void load_into(const std::function<std::string()>& state, const Load& load) {
  const std::string before = state();
  try {
    load();
  } catch (const ag::Error&) {
    must(state() == before, "a refused file has changed what it was loaded into");
    throw;
  }
}

std::vector<std::string> tensor_files() {
  const nn::StateDict several{{"weights", ag::tensor({{1.5f, -0.0f}, {2.0f, 3.0f}})},
                              {"flags", ag::tensor({true, false, true})},
                              {"double", ag::tensor({0.1, -1e300})},
                              {"scalar", ag::tensor(3)},
                              {"empty", ag::zeros({0, 3})}};
  std::string foreign =
      R"({"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"i":{"dtype":"U8","shape":[3],)"
      R"("data_offsets":[4,7]},"__metadata__":{"format":"pt"}})";
  const std::uint64_t n = foreign.size();
  foreign.insert(0, reinterpret_cast<const char*>(&n), 8);
  return {written([&](auto& path) {
            nn::write_safetensors(path, several, {{"k", "v ü"}});
          }),
          foreign + "1234567"};
}

nn::MLP model() { return nn::MLP(2, {3}, 1); }

// All that a checkpoint may hold.
struct Run {
  nn::MLP net = model();
  nn::optim::Adam adam{net.parameters()};
  nn::optim::StepLR schedule{adam, {.step_size = 2}};
  data::DataLoader<> loader{data::TensorDataset(ag::ones({4, 2}))};
  ag::Generator generator{3};
  nn::Checkpoint checkpoint{
      {"model", net}, {"adam", adam}, {"lr", schedule}, {"data", loader}, {"generator", generator}};
  Run() {
    ag::sum(net(ag::ones({1, 2}))).backward();
    adam.step();
    checkpoint.numbers["best"] = 0.5;
    checkpoint.strings["note"] = "text";
    checkpoint.options["--lr"] = "0.1";
  }
  std::string state() const {
    return bytes_of(net.state_dict()) + bytes_of(adam.state_dict()) +
           bytes_of(schedule.state_dict()) + bytes_of(loader.state_dict()) +
           std::to_string(checkpoint.epoch) + std::to_string(checkpoint.step);
  }
};

Target checkpoint() {
  const auto run = std::make_shared<Run>();
  return {"Checkpoint::load",
          {written([&](auto& path) { run->checkpoint.save(path); })},
          [run](const std::string& path, std::uint64_t) {
            load_into([&] { return run->state(); }, [&] { run->checkpoint.load(path); });
          }};
}

const std::vector<std::string>& csv_files() {
  static const std::string plain = "a,b,c\n1,2.5,x\n-3,4e2,\"y \"\"z\"\"\"\n,NA,ü\n";
  static const std::vector<std::string> files{
      plain, "sep=;\nc;a;b\r\nx;-2,25;1.000\r\n\r\nü;4 %;2", "\xef\xbb\xbf# note\n1 2\t 3\n4 5 6\n",
      "day,b\n1969-12-31,1\n,2\n2024-02-29,3\n", gzipped(plain)};
  return files;
}

void read_csv(const std::string& path, std::uint64_t choice) {
  data::CsvOptions options;
  options.missing = choice % 5 ? data::Missing::nan : data::Missing::drop;
  if (choice % 2) options.text = {"c"};
  switch (choice % 8) {
    case 0:
      options.delimiter = ' ', options.comment = '#', options.header = data::Header::no;
      break;
    case 1:
      options.decimal = ',', options.percent = true, options.thousands = '.';
      break;
    case 2:
      options.header = data::Header::no, options.skip_rows = 1, options.skip_footer = 1;
      break;
    case 3:
      options.fill_short_rows = true, options.duplicates = data::Duplicates::number;
      break;
    case 4:
      options.columns = {std::int64_t{0}};
      break;
    case 5:
      options.row_names = true;
      break;
    case 6:
      options.dates = {"day"};
      break;
  }
  const data::Table table = data::read_csv(path, options);
  for (const std::string& name : table.columns())
    if (table.is_text(name))
      must(table.texts(name).size() == static_cast<std::size_t>(table.rows()), "a text a row");
    else
      touch(table[name]);
}

Target encoder() {
  data::TableEncoder fitted({.ordinal = {"c"}, .impute_texts = data::Impute::category});
  data::Table table;
  table.add("a", ag::tensor({1.0, 2.0})).add("b", {"x", "y"}).add("c", {"ü", ""});
  fitted.fit(table);
  return {"TableEncoder::from_state",
          {written([&](auto& path) { nn::save(fitted, path); })},
          [table](const std::string& path, std::uint64_t) {
            const auto read = data::TableEncoder::from_state(nn::load_tensors(path));
            must(!read.str().empty(), "it prints");
            touch(read.transform(table).values());
          }};
}

std::string idx(const std::string& header, std::size_t elements) {
  std::string bytes = header;
  for (std::size_t i = 0; i < elements; ++i) bytes += static_cast<char>(17 * i);
  return bytes;
}
const std::string& images() {
  static const std::string bytes = idx({0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2}, 12);
  return bytes;
}
const std::string& labels() {
  static const std::string bytes = idx({0, 0, 8, 1, 0, 0, 0, 3}, 3);
  return bytes;
}
std::string qmnist() { return idx({0, 0, 12, 2, 0, 0, 0, 3, 0, 0, 0, 2}, 24); }

// Beside the file: the others of a data set that lives as long as the target.
Target labelled_images() {
  const auto scratch = std::make_shared<Scratch>();
  write_bytes(*scratch / "images", images());
  write_bytes(*scratch / "labels", labels());
  return {"read_labelled_images",
          {images(), labels(), qmnist(), gzipped(images())},
          [scratch](const std::string& path, std::uint64_t choice) {
            const auto read = choice % 2 ? data::read_labelled_images(path, *scratch / "labels")
                                         : data::read_labelled_images(*scratch / "images", path);
            touch(read.images);
            must(read.images.size(0) == read.labels.size(0), "a label for each image");
          }};
}

Target mnist() {
  const auto scratch = std::make_shared<Scratch>();
  for (const char* part : {"train", "t10k"}) {
    write_bytes(*scratch / (std::string(part) + "-images-idx3-ubyte"), images());
    write_bytes(*scratch / (std::string(part) + "-labels-idx1-ubyte"), labels());
  }
  return {"load_mnist",
          {images(), gzipped(images())},
          [scratch](const std::string& path, std::uint64_t) {
            const std::string changed = *scratch / "t10k-images-idx3-ubyte";
            std::filesystem::remove(changed);
            std::filesystem::copy_file(path, changed);
            touch(data::load_mnist(scratch->path()).test.images);
          }};
}

Target word_vectors() {
  const data::WordVectors vectors({"a", "of", "ü"},
                                  ag::tensor({{0.25f, -1e-5f}, {3.0f, 4.0f}, {5.0f, 6.0f}}));
  const auto saved = [&](bool binary) {
    return written([&](auto& path) { data::save_word_vectors(vectors, path, {.binary = binary}); });
  };
  return {"load_word_vectors",
          {saved(false), saved(true), "New York 1 2\n. . 3 4\n", gzipped(saved(false))},
          [](const std::string& path, std::uint64_t choice) {
            const auto read = data::load_word_vectors(path, {.dim = choice % 3 ? 0 : 2,
                                                             .max_words = choice % 5 ? 0 : 2,
                                                             .check_count = choice % 2 == 0});
            must(read.words().size() == static_cast<std::size_t>(read.size()), "a word a row");
            touch(read.vectors());
          }};
}

}  // namespace

std::vector<Target> targets() {
  const auto net = std::make_shared<nn::MLP>(model());
  const std::vector<std::string> weights{written([&](auto& path) { nn::save(*net, path); }),
                                         tensor_files().front()};
  std::vector<Target> all{
      {"read_safetensors", tensor_files(),
       [](const std::string& path, std::uint64_t) { touch(nn::read_safetensors(path).tensors); }},
      {"load_tensors", tensor_files(),
       [](const std::string& path, std::uint64_t choice) {
         touch(choice % 2 ? nn::load_tensors(path) : nn::load_tensors(path, {"weights"}));
       }},
      {"load", weights,
       [net](const std::string& path, std::uint64_t choice) {
         load_into([&] { return bytes_of(net->state_dict()); },
                   [&] { nn::load(*net, path, choice % 2 == 0); });
       }},
      checkpoint(),
      {"read_csv", csv_files(), read_csv},
      encoder(),
      {"read_idx",
       {images(), labels(), qmnist(), gzipped(images()), idx({0, 0, 14, 1, 0, 0, 0, 2}, 16),
        idx({0, 0, 13, 0}, 4)},
       [](const std::string& path, std::uint64_t) { touch(data::read_idx(path)); }},
      labelled_images(),
      mnist(),
      word_vectors(),
      {"InputFile",
       {csv_files().back(), "plain", gzipped("")},
       [](const std::string& path, std::uint64_t choice) {
         data::InputFile file(path, choice % 2 ? std::optional<std::int64_t>(1000) : std::nullopt);
         must(file.read_all().size() <= (std::size_t{1} << 20), "no more than was packed");
       }},
  };
  for (const auto& [file, families] : Family::all())
    for (const auto family : families)
      for (Target& target : family()) all.push_back(std::move(target));
  return all;
}

}  // namespace fuzz
