#include "nn/data/readers/idx.hpp"

#include <cmath>
#include <cstdint>
#include <filesystem>

#include "nn/data/dataloader.hpp"
#include "nn/data/readers/input_file.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using Catch::Matchers::Equals;

namespace {

std::string big_endian(std::uint32_t n) {
  return {char(n >> 24), char(n >> 16), char(n >> 8), char(n)};
}

std::string little_endian(std::uint32_t n) {
  return {char(n), char(n >> 8), char(n >> 16), char(n >> 24)};
}

std::string idx(int type, const std::vector<std::uint32_t>& sizes, const std::string& elements) {
  std::string bytes{0, 0, char(type), char(sizes.size())};
  for (const auto n : sizes) bytes += big_endian(n);
  return bytes + elements;
}

std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t crc = ~0u;
  for (const unsigned char c : bytes) {
    crc ^= c;
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

// A gzip member with the bytes as they are, in one stored block (at most 65535 bytes).
std::string gzip(const std::string& bytes) {
  const auto n = static_cast<std::uint16_t>(bytes.size()), inverse = static_cast<std::uint16_t>(~n);
  return std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff\x01", 11) +
         std::string{char(n), char(n >> 8), char(inverse), char(inverse >> 8)} + bytes +
         little_endian(crc32(bytes)) + little_endian(n);
}

// 1024 IDX bytes 0 1 2 3 0 1 2 3 …, compressed.
const std::string kCompressed(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x63\x60\xe0\x60\x64\x60\x60\x61\x60\x60\x64\x62\x1e"
    "\xc5\xa3\x78\x14\x8f\x4c\x0c\x00\x10\xf8\x30\x4f\x08\x04\x00\x00",
    39);

struct Fixture {
  Scratch scratch;
  std::string path = scratch / "file";

  ag::Tensor read(const std::string& bytes) {
    write_bytes(path, bytes);
    return data::read_idx(path);
  }
  void refuses(const std::string& bytes, const std::string& message) {
    CHECK_THROWS_WITH(read(bytes), Equals(path + ": " + message));
  }
};

// Two training and one test image of 2 × 3 pixels.
void write_mnist(const Scratch& dir, const std::string& ending = "") {
  const auto write = [&](const std::string& name, const std::string& bytes) {
    write_bytes(dir / (name + ending), ending.empty() ? bytes : gzip(bytes));
  };
  write("train-images-idx3-ubyte",
        idx(8, {2, 2, 3}, std::string("\0\1\2\3\4\5\xff\0\0\0\0\x33", 12)));
  write("train-labels-idx1-ubyte", idx(8, {2}, "\x09\xff"));
  write("t10k-images-idx3-ubyte", idx(8, {1, 2, 3}, "abcdef"));
  write("t10k-labels-idx1-ubyte", idx(8, {1}, "\x03"));
}

}  // namespace

TEST_CASE_METHOD(Fixture, "IDX files of every type are read") {
  const auto bytes = read(idx(0x08, {3}, std::string("\0\x7f\xff", 3)));
  CHECK(bytes.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 127, 255});
  const auto chars = read(idx(0x09, {3}, std::string("\0\x7f\xff", 3)));
  CHECK(chars.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 127, -1});
  const auto shorts = read(idx(0x0B, {2, 1}, "\x01\x02\xff\xfe"));
  CHECK(shorts.to_vector<std::int64_t>() == std::vector<std::int64_t>{258, -2});
  CHECK(shorts.shape() == ag::Shape(2, 1));
  const auto ints = read(idx(0x0C, {1, 2}, std::string("\x7f\xff\xff\xff\x80\0\0\0", 8)));
  CHECK(ints.to_vector<std::int64_t>() == std::vector<std::int64_t>{INT32_MAX, INT32_MIN});
  const auto floats = read(idx(0x0D, {2}, std::string("\x3f\xc0\0\0\xff\x80\0\0", 8)));
  CHECK(floats.to_vector<float>() == std::vector<float>{1.5f, -INFINITY});
  const auto doubles = read(idx(0x0E, {1}, std::string("\xc0\x09\x21\xfb\x54\x44\x2d\x18", 8)));
  CHECK(doubles.to_vector<double>() == std::vector<double>{-3.141592653589793});
}

TEST_CASE_METHOD(Fixture, "IDX files may be empty or hold a single element") {
  CHECK(read(idx(8, {0, 5}, "")).shape() == ag::Shape(0, 5));
  CHECK(read(idx(8, {}, "\x07")).item<std::int64_t>() == 7);
}

TEST_CASE_METHOD(Fixture, "gzipped IDX files are read, whatever their name") {
  const auto t = read(kCompressed);
  CHECK(t.shape() == ag::Shape(1024));
  CHECK(t.data<std::int64_t>()[1023] == 3);
  CHECK(read(gzip(idx(8, {0}, ""))).numel() == 0);
}

TEST_CASE_METHOD(Fixture, "gzip members may follow one another") {
  const std::string bytes = idx(8, {4}, "abcd");
  const auto t = read(gzip(bytes.substr(0, 6)) + gzip(bytes.substr(6)));
  CHECK(t.to_vector<std::int64_t>() == std::vector<std::int64_t>{'a', 'b', 'c', 'd'});
}

TEST_CASE_METHOD(Fixture, "files larger than the buffers come through whole") {
  std::string elements(3'000'001, '\0');
  for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = char(i * 31 % 251);
  const auto t = read(idx(8, {3'000'001}, elements));
  CHECK(t.data<std::int64_t>()[3'000'000] == 3'000'000 * 31LL % 251);
  std::string packed;
  for (std::size_t at = 0; at < elements.size(); at += 60'000)
    packed += gzip(elements.substr(at, 60'000));
  write_bytes(path, packed);
  CHECK(data::InputFile(path).read_all() == elements);
}

TEST_CASE_METHOD(Fixture, "a wrong magic number is refused") {
  const std::string must =
      "an IDX file must begin with the bytes 00 00, a type (08 09 0B 0C 0D 0E) and the number of "
      "axes, got ";
  refuses("PK\3\4 and more", must + "50 4B 03 04");
  refuses(idx(0x0A, {1}, "a"), must + "00 00 0A 01");
  refuses(gzip("no IDX file"), must + "6E 6F 20 49");
}

TEST_CASE_METHOD(Fixture, "a truncated header is refused") {
  refuses("", "an IDX file must have a complete header, got the end 4 bytes early");
  refuses(std::string("\0\0\x08", 3),
          "an IDX file must have a complete header, got the end 1 bytes early");
  refuses(idx(8, {5, 5}, "").substr(0, 10),
          "an IDX file must have a complete header, got the end 2 bytes early");
}

TEST_CASE_METHOD(Fixture, "too few or too many elements are refused") {
  refuses(idx(8, {5}, "abcd"), "must hold 5 bytes of elements as its header says, got 4");
  refuses(idx(0x0E, {2}, "abcd"), "must hold 16 bytes of elements as its header says, got 4");
  refuses(idx(8, {5}, "abcdef"), "must end after 5 bytes of elements as its header says, got more");
  refuses(idx(8, {0}, "a"), "must end after 0 bytes of elements as its header says, got more");
  refuses(gzip(idx(8, {5}, "abcd")), "must hold 5 bytes of elements as its header says, got 4");
}

TEST_CASE_METHOD(Fixture, "a header that promises more than there can be costs nothing") {
  refuses(idx(8, {1u << 31, 1u << 20}, "abcd"),
          "must hold 2251799813685248 bytes of elements as its header says, got 4");
  refuses(idx(8, {1u << 31, 1u << 31, 1u << 31}, ""),
          "the number of elements must fit in 63 bits of bytes, got shape (2147483648, 2147483648, "
          "2147483648)");
  refuses(idx(8, {~0u, ~0u, ~0u, 0}, ""),
          "the number of elements must fit in 63 bits of bytes, got shape (4294967295, 4294967295, "
          "4294967295, 0)");
}

TEST_CASE_METHOD(Fixture, "a gzip file that unpacks to more than its header says is refused") {
  std::string bomb = gzip(idx(8, {5}, "abcde"));
  for (int i = 0; i < 10; ++i) bomb += gzip(std::string(65'000, '\0'));
  refuses(bomb, "must end after 5 bytes of elements as its header says, got more");
}

TEST_CASE_METHOD(Fixture, "damaged gzip data is refused") {
  const std::string good = gzip(idx(8, {5}, "abcde"));
  std::string changed = good;
  changed[28] ^= 1;
  refuses(changed, "gzip data must be intact, got \"incorrect data check\" at byte 32");
  std::string length = good;
  length[32] ^= 1;
  refuses(length, "gzip data must be intact, got \"incorrect length check\" at byte 36");
  std::string block = good;
  block[10] = 7;
  refuses(block, "gzip data must be intact, got \"invalid block type\" at byte 11");
  std::string method = good;
  method[2] = 9;
  refuses(method, "gzip data must be intact, got \"unknown compression method\" at byte 4");
  refuses(good + "garbage",
          "gzip data must be followed by the end of the file, got more bytes at byte 36");
  for (std::size_t n = 2; n < good.size(); ++n)
    refuses(good.substr(0, n), "gzip data must be complete, got the end of the file after " +
                                   std::to_string(n) + " bytes");
}

TEST_CASE_METHOD(Fixture, "a compressed file cut anywhere is refused") {
  for (std::size_t n = 2; n < kCompressed.size(); ++n) {
    write_bytes(path, kCompressed.substr(0, n));
    CHECK_THROWS_AS(data::read_idx(path), ag::Error);
  }
}

TEST_CASE("a file that cannot be opened is named with the reason") {
  const Scratch scratch;
  CHECK_THROWS_WITH(
      data::read_idx(scratch / "none"),
      Equals(scratch / "none: must be a readable file, got: No such file or directory"));
  CHECK_THROWS_WITH(data::read_idx(scratch.path()),
                    Equals(scratch.path() + ": must be a file, got a directory"));
  const std::string locked = scratch / "locked";
  write_bytes(locked, "secret");
  std::filesystem::permissions(locked, std::filesystem::perms::none);
  if (!std::ifstream(locked).is_open())  // root may read everything
    CHECK_THROWS_WITH(data::read_idx(locked),
                      Equals(locked + ": must be a readable file, got: Permission denied"));
}

TEST_CASE("MNIST files are read as images in [0, 1] and labels, of any image size") {
  for (const std::string ending : {"", ".gz"}) {
    const Scratch dir;
    write_mnist(dir, ending);
    const auto [train, test] = data::load_mnist(dir.path());
    CHECK(train.images.shape() == ag::Shape(2, 1, 2, 3));
    CHECK(train.images.dtype() == ag::float32);
    CHECK(train.images.data<float>()[5] == 5 / 255.0f);
    CHECK(train.images.data<float>()[6] == 1.0f);
    CHECK(train.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{9, 255});
    CHECK(test.images.shape() == ag::Shape(1, 1, 2, 3));
    CHECK(test.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{3});
    data::DataLoader loader(train, {.batch_size = 2});
    for (const auto& [images, labels] : loader) CHECK(images.size(0) == labels.size(0));
  }
}

TEST_CASE("an incomplete MNIST directory is refused with the name of what is missing") {
  const Scratch dir;
  const std::string train = "train-images-idx3-ubyte", test = "t10k-labels-idx1-ubyte";
  CHECK_THROWS_WITH(data::load_mnist(dir / "none"),
                    Equals(dir / ("none: must be a directory with " + train + " or " + train +
                                  ".gz, got no directory")));
  CHECK_THROWS_WITH(data::load_mnist(dir.path()), Equals(dir.path() + ": must hold " + train +
                                                         " or " + train + ".gz, got neither"));
  write_mnist(dir);
  std::filesystem::remove(dir / test);
  CHECK_THROWS_WITH(data::load_mnist(dir.path()), Equals(dir.path() + ": must hold " + test +
                                                         " or " + test + ".gz, got neither"));
}

TEST_CASE("MNIST files are found under the names that data sets come with") {
  const Scratch dir;
  const std::string images = idx(8, {2, 1, 1}, "ab"), labels = idx(8, {2}, std::string{1, 2});
  const auto write = [&](const std::string& train, const std::string& test, const std::string& i,
                         const std::string& l, const std::string& label_bytes) {
    for (const auto& part : {train, test}) {
      write_bytes(dir / (part + i), images);
      write_bytes(dir / (part + l), label_bytes);
    }
  };
  const auto check = [&](const std::string& name = "") {
    const auto [train, test] = data::load_mnist(dir.path(), name);
    CHECK(train.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2});
    CHECK(test.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2});
    CHECK(test.images.data<float>()[1] == 'b' / 255.0f);
  };
  SECTION("with a dot, beside directories with the other names") {
    write("train", "t10k", "-images.idx3-ubyte", "-labels.idx1-ubyte", labels);
    std::filesystem::create_directory(dir / "train-images-idx3-ubyte");
    check();
  }
  SECTION("EMNIST's") {
    write("emnist-letters-train", "emnist-letters-test", "-images-idx3-ubyte", "-labels-idx1-ubyte",
          labels);
    check();
    check("emnist-letters");
    write("emnist-digits-train", "emnist-digits-test", "-images-idx3-ubyte.gz",
          "-labels-idx1-ubyte.gz", labels);
    check("emnist-digits");
    CHECK_THROWS_WITH(data::load_mnist(dir.path()),
                      Equals(dir.path() + ": must hold one data set, got emnist-digits-, "
                                          "emnist-letters-; give the one to load as the second "
                                          "argument"));
  }
  SECTION("QMNIST's, whose labels are rows of numbers") {
    std::string rows;
    for (const std::uint32_t label : {1, 2})
      for (std::uint32_t column = 0; column < 8; ++column)
        rows += big_endian(column == 0 ? label : 100 + column);
    write("qmnist-train", "qmnist-test", "-images-idx3-ubyte", "-labels-idx2-int",
          idx(0x0C, {2, 8}, rows));
    check();
  }
}

TEST_CASE(
    "EMNIST's images are turned upright, and its letters begin with 0, where options say so") {
  const Scratch dir;
  for (const std::string part : {"emnist-letters-train", "emnist-letters-test"}) {
    write_bytes(dir / (part + "-images-idx3-ubyte"), idx(8, {1, 2, 3}, "abcdef"));
    write_bytes(dir / (part + "-labels-idx1-ubyte"), idx(8, {1}, "\x1a"));
  }
  const data::Mnist letters =
      data::load_mnist(dir.path(), "emnist-letters", {.transpose = true, .first_label = 1});
  CHECK(letters.train.images.shape() == ag::Shape(1, 1, 3, 2));
  CHECK(letters.train.images.data<float>()[1] == 'd' / 255.0f);
  CHECK(letters.test.labels.to_vector<std::int64_t>() == std::vector<std::int64_t>{25});
  const std::string labels = dir / "emnist-letters-train-labels-idx1-ubyte";
  CHECK_THROWS_WITH(data::load_mnist(dir.path(), "", {.first_label = 27}),
                    Equals(labels + ": labels must be at least 27 (first_label), got 26 in place "
                                    "0"));
}

TEST_CASE("MNIST files that do not fit together are refused") {
  const Scratch dir;
  const auto refuses = [&](const std::string& name, const std::string& bytes,
                           const std::string& message) {
    write_mnist(dir);
    write_bytes(dir / name, bytes);
    CHECK_THROWS_WITH(data::load_mnist(dir.path()), Equals(dir / (name + ": " + message)));
  };
  const std::string images = "train-images-idx3-ubyte", labels = "train-labels-idx1-ubyte";
  refuses(
      labels, idx(8, {3}, "abc"),
      "must hold one label for each image of " + (dir / images) + ", got 3 labels for 2 images");
  refuses(labels, idx(0x0C, {1}, "abcd"), "labels must be unsigned bytes (type 08), got type 0C");
  refuses(labels, idx(8, {2, 1}, "ab"), "labels must have 1 axes, got shape (2, 1)");
  write_mnist(dir);
  refuses(images, idx(0x0D, {1, 1, 1}, "abcd"),
          "images must be unsigned bytes (type 08), got type 0D");
  refuses(images, idx(8, {2}, "ab"), "images must have 3 axes, got shape (2,)");
}
