
#include <filesystem>
#include <memory>

#include "autograd/ops/ops.hpp"
#include "nn/data/readers/cifar.hpp"
#include "nn/data/readers/image_file.hpp"
#include "tests/nn/data/pictures.hpp"
#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;

namespace fuzz {
namespace {

// For the sanitizers; of what a reader promises, that numbers are in [0, 1].
void check_range(const ag::Tensor& x) {
  if (x.numel() > 0 && !(ag::min(x).item() >= 0 && ag::max(x).item() <= 1))
    throw std::logic_error("a picture is not in [0, 1]");
}

std::vector<std::string> picture_files() {
  const Scratch scratch;
  data::write_png(scratch / "f", ag::full({4, 3, 2}, 0.5, ag::float32), {.depth = 16});
  return {read_bytes(scratch / "f"), pictures::palette, pictures::transparent, pictures::bits,
          pictures::interlaced,      pictures::jpeg,    pictures::turned,      pictures::grey_jpeg,
          gzipped(pictures::palette)};
}

std::string record(const std::string& labels) { return labels + std::string(3072, '\x7f'); }

void check_labels(const data::LabelledImages& read, std::int64_t classes) {
  check_range(read.images);
  if (read.images.size(0) != read.labels.numel() || ag::min(read.labels).item() < 0 ||
      ag::max(read.labels).item() >= static_cast<double>(classes))
    throw std::logic_error("a label that is none");
}

// A directory of one of CIFAR's data sets, with the mutated file as one of its own.
Target cifar(const char* reader, const std::string& label, const std::string& train,
             const std::string& test, std::vector<std::string> names, int classes,
             data::Cifar (*load)(const std::string& directory)) {
  const auto scratch = std::make_shared<Scratch>();
  write_bytes(*scratch / test, record(label));
  std::string lines;
  for (int i = 0; i < classes; ++i) lines += "class " + std::to_string(i) + '\n';
  for (const auto& name : names) write_bytes(*scratch / name, lines);
  return {
      reader, {record(label) + record(label)}, [=](const std::string& path, std::uint64_t choice) {
        const std::string changed = *scratch / (choice % 4 ? train : names.front());
        write_bytes(*scratch / train, record(label));
        write_bytes(*scratch / names.front(), lines);
        std::filesystem::copy_file(path, changed,
                                   std::filesystem::copy_options::overwrite_existing);
        check_labels(load(scratch->path()).train, classes);
      }};
}

}  // namespace

std::vector<Target> picture_targets() {
  return {
      {"read_image", picture_files(),
       [](const std::string& path, std::uint64_t choice) {
         const auto color = static_cast<data::Color>(choice % 5);
         check_range(data::read_image(path, {.color = color, .max_pixels = 10'000}));
       }},
      {"read_image_info", picture_files(),
       [](const std::string& path, std::uint64_t) {
         const auto info = data::read_image_info(path);
         if (info.channels < 1 || info.channels > 4 || info.height < 1 || info.width < 1)
           throw std::logic_error("a picture that is none");
       }},
      {"read_cifar",
       {record("\1") + record("\2"), gzipped(record("\3"))},
       [](const std::string& path, std::uint64_t choice) {
         const std::int64_t classes = choice % 2 ? 10 : 256;
         check_labels(data::read_cifar(path, {.classes = classes}), classes);
       }},
      cifar("load_cifar10", "\5", "data_batch_1.bin", "test_batch.bin", {"batches.meta.txt"}, 10,
            data::load_cifar10),
      cifar("load_cifar100", "\1\5", "train.bin", "test.bin", {"fine_label_names.txt"}, 100,
            [](const std::string& directory) { return data::load_cifar100(directory); }),
  };
}

const Family picture_readers(picture_targets);

}  // namespace fuzz
