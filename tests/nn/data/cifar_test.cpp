#include "nn/data/readers/cifar.hpp"

#include <filesystem>

#include "nn/data/dataloader.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using Catch::Matchers::Equals;
using Catch::Matchers::StartsWith;

namespace {

using Labels = std::vector<std::int64_t>;

// Pixel i of the record is byte (first + i) mod 256.
std::string record(const std::string& labels, int first = 0) {
  std::string bytes = labels;
  for (int i = 0; i < 3072; ++i) bytes += static_cast<char>(first + i);
  return bytes;
}

std::string lines(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += "name " + std::to_string(i) + '\n';
  return text + '\n';
}

void write_cifar10(const std::string& directory) {
  write_bytes(directory + "/data_batch_1.bin", record("\3") + record("\1", 5));
  write_bytes(directory + "/data_batch_2.bin", record("\x9"));
  write_bytes(directory + "/test_batch.bin", record(std::string(1, '\0')));
}

}  // namespace

TEST_CASE("CIFAR-10 is read from as many files as there are, with the names of its classes") {
  const Scratch dir;
  write_cifar10(dir.path());
  const data::Cifar cifar = data::load_cifar10(dir.path());
  CHECK(cifar.train.images.shape() == ag::Shape(3, 3, 32, 32));
  CHECK(cifar.train.images.dtype() == ag::float32);
  CHECK(cifar.train.images.data<float>()[255] == 1.0f);
  CHECK(cifar.train.images.data<float>()[3072 + 1] == 6 / 255.0f);
  CHECK(cifar.train.labels.to_vector<std::int64_t>() == Labels{3, 1, 9});
  CHECK(cifar.test.labels.to_vector<std::int64_t>() == Labels{0});
  CHECK(cifar.classes.at(9) == "truck");
  write_bytes(dir / "batches.meta.txt", lines(10));
  CHECK(data::load_cifar10(dir.path()).classes.at(9) == "name 9");
}

TEST_CASE("CIFAR's files are found in the directory that its archive unpacks to") {
  const Scratch dir;
  std::filesystem::create_directory(dir / "cifar-10-batches-bin");
  write_cifar10(dir / "cifar-10-batches-bin");
  CHECK(data::load_cifar10(dir.path()).train.labels.numel() == 3);
}

TEST_CASE("CIFAR's images go through a loader") {
  const Scratch dir;
  write_cifar10(dir.path());
  const data::Cifar cifar = data::load_cifar10(dir.path());
  data::DataLoader loader(cifar.train, {.batch_size = 2});
  for (const auto& [x, y] : loader) CHECK(x.size(0) == y.size(0));
  std::int64_t n = 0;
  for (const auto& [x, y] : data::batches(cifar.test, 500)) n += y.numel();
  CHECK(n == 1);
}

TEST_CASE("CIFAR-100 has a fine and a coarse label for each image") {
  const Scratch dir;
  write_bytes(dir / "train.bin", record("\x13\x63") + record("\x01\x02"));
  write_bytes(dir / "test.bin", record("\x02\x03"));
  write_bytes(dir / "fine_label_names.txt", lines(100));
  write_bytes(dir / "coarse_label_names.txt", lines(20));
  const auto fine = data::load_cifar100(dir.path());
  CHECK(fine.train.labels.to_vector<std::int64_t>() == Labels{99, 2});
  CHECK(fine.train.images.data<float>()[2] == 2 / 255.0f);
  CHECK(fine.classes.size() == 100);
  const auto coarse = data::load_cifar100(dir.path(), data::CifarLabels::coarse);
  CHECK(coarse.train.labels.to_vector<std::int64_t>() == Labels{19, 1});
  CHECK(coarse.classes.size() == 20);
}

TEST_CASE("files of CIFAR's records are read under any name, with labels of one's own") {
  const Scratch dir;
  write_bytes(dir / "a", record("\x0b"));
  write_bytes(dir / "b", record("\x02") + record("\x03"));
  const auto own = data::read_cifar({dir / "b", dir / "a"}, {.classes = 12});
  CHECK(own.labels.to_vector<std::int64_t>() == Labels{2, 3, 11});
  write_bytes(dir / "c", record("\x07\x08\x09"));
  const auto third = data::read_cifar(dir / "c", {.label_bytes = 3, .label = 2});
  CHECK(third.labels.to_vector<std::int64_t>() == Labels{9});
}

TEST_CASE("CIFAR files that are truncated, empty or of another kind are refused") {
  const Scratch dir;
  const auto refuses = [&](const std::string& bytes, const std::string& message) {
    write_bytes(dir / "f", bytes);
    CHECK_THROWS_WITH(data::read_cifar(dir / "f"), Equals(dir / ("f: " + message)));
  };
  refuses("", "must hold a record of 3073 bytes, got an empty file");
  refuses(record("\1") + record("\2").substr(0, 100),
          "must hold whole records of 3073 bytes, got 1 of them and 100 bytes");
  refuses(record("\1") + record("\x0a"),
          "labels must be in [0, 10), got 10 in record 1; is it a CIFAR file of this kind?");
  CHECK_THROWS_WITH(data::read_cifar(std::vector<std::string>{}),
                    Equals("read_cifar: needs at least one file, got none"));
  CHECK_THROWS_WITH(data::read_cifar(dir / "f", {.label = 1}),
                    Equals("read_cifar: label must be in [0, 1), got 1"));
  CHECK_THROWS_WITH(data::read_cifar(dir / "f", {.classes = 257}),
                    Equals("read_cifar: classes must be in [1, 256], got 257"));
}

TEST_CASE("a CIFAR directory that lacks a file is refused with its name") {
  const Scratch dir;
  CHECK_THROWS_WITH(data::load_cifar10(dir / "none"),
                    Equals(dir / "none: must be a directory with data_batch_1.bin, got no "
                                 "directory"));
  CHECK_THROWS_WITH(data::load_cifar10(dir.path()),
                    Equals(dir.path() + ": must hold data_batch_1.bin or data_batch_1.bin.gz, got "
                                        "neither"));
  write_cifar10(dir.path());
  std::filesystem::remove(dir / "test_batch.bin");
  CHECK_THROWS_WITH(data::load_cifar10(dir.path()), StartsWith(dir.path() + ": must hold test"));
  write_cifar10(dir.path());
  std::filesystem::rename(dir / "data_batch_2.bin", dir / "data_batch_3.bin");
  CHECK_THROWS_WITH(data::load_cifar10(dir.path()),
                    Equals(dir.path() + ": must hold data_batch_2.bin or data_batch_2.bin.gz, got "
                                        "neither"));
  write_cifar10(dir.path());
  write_bytes(dir / "batches.meta.txt", lines(9));
  CHECK_THROWS_WITH(data::load_cifar10(dir.path()),
                    Equals(dir / "batches.meta.txt: must hold the names of 10 classes, one a "
                                 "line, got 9"));
}
