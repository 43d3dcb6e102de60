#include "nn/training/tensorboard.hpp"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

#include "autograd/ops/ops.hpp"
#include "nn/layers/activation.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
T take(std::string_view& bytes) {
  REQUIRE(bytes.size() >= sizeof(T));
  T x;
  std::memcpy(&x, bytes.data(), sizeof x);
  bytes.remove_prefix(sizeof x);
  return x;
}

// CRC-32C bit by bit, as the polynomial says.
std::uint32_t masked_crc(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0u);
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

std::vector<std::string> records(const std::filesystem::path& path) {
  const std::string all = contents(path);
  std::string_view left = all;
  std::vector<std::string> out;
  while (!left.empty()) {
    const std::string_view start = left.substr(0, 8);
    const auto size = take<std::uint64_t>(left);
    CHECK(take<std::uint32_t>(left) == masked_crc(start));
    REQUIRE(left.size() >= size);
    const std::string_view event = left.substr(0, size);
    out.emplace_back(event);
    left.remove_prefix(size);
    CHECK(take<std::uint32_t>(left) == masked_crc(event));
  }
  return out;
}

// The fields of a message: integers as numbers, the rest as bytes.
struct Fields {
  std::multimap<int, std::string> bytes;
  std::multimap<int, std::uint64_t> integers;

  explicit Fields(std::string_view message) {
    while (!message.empty()) {
      const std::uint64_t key = varint(message);
      const int field = static_cast<int>(key >> 3);
      std::size_t size = key % 8 == 1 ? 8 : 4;
      if (key % 8 == 0) {
        integers.emplace(field, varint(message));
        continue;
      }
      if (key % 8 == 2) size = varint(message);
      REQUIRE(message.size() >= size);
      bytes.emplace(field, message.substr(0, size));
      message.remove_prefix(size);
    }
  }
  static std::uint64_t varint(std::string_view& bytes) {
    for (std::uint64_t x = 0, shift = 0;; shift += 7) {
      const auto byte = take<std::uint8_t>(bytes);
      x |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return x;
    }
  }
  Fields operator[](int field) const {
    REQUIRE(bytes.count(field) == 1);
    return Fields(bytes.find(field)->second);
  }
  const std::string& text(int field) const {
    REQUIRE(bytes.count(field) == 1);
    return bytes.find(field)->second;
  }
  template <class T>
  std::vector<T> numbers(int field) const {
    const std::string& raw = text(field);
    std::vector<T> out(raw.size() / sizeof(T));
    std::memcpy(out.data(), raw.data(), raw.size());
    return out;
  }
};

// The values of the events after the first, each with its step.
std::vector<std::pair<std::uint64_t, Fields>> values(const std::filesystem::path& path) {
  const auto all = records(path);
  REQUIRE(all.size() > 1);
  CHECK(Fields(all[0]).text(3) == "brain.Event:2");
  std::vector<std::pair<std::uint64_t, Fields>> out;
  for (std::size_t i = 1; i < all.size(); ++i) {
    const Fields event(all[i]);
    CHECK(event.numbers<double>(1).at(0) > 1.6e9);  // a time
    out.emplace_back(event.integers.find(2)->second, event[5][1]);
  }
  return out;
}

}  // namespace

TEST_CASE("scalars and texts are in the events of a TensorBoard file") {
  const Scratch dir;
  nn::TensorBoardWriter board(dir / "runs/one");
  CHECK(board.path().parent_path() == dir / "runs/one");
  board.add_scalar("loss/train", 0.5, 0);
  board.add_scalar("loss/train", NAN, 1'000'000'000'000);
  board.add_text("note", "**bold** ö", 3);
  board.flush();
  const auto all = values(board.path());
  REQUIRE(all.size() == 3);
  CHECK(all[0].first == 0);
  CHECK(all[0].second.text(1) == "loss/train");
  CHECK(all[0].second.numbers<float>(2) == std::vector{0.5f});
  CHECK(all[1].first == 1'000'000'000'000);
  CHECK(std::isnan(all[1].second.numbers<float>(2).at(0)));
  const Fields& note = all[2].second;
  CHECK(note[9][1].text(1) == "text");
  CHECK(note[8].integers.find(1)->second == 7);
  CHECK(note[8].text(8) == "**bold** ö");
}

TEST_CASE("the buckets of a TensorBoard histogram hold each finite element once") {
  const Scratch dir;
  nn::TensorBoardWriter board(dir.path());
  const ag::Tensor x =
      ag::tensor({-2.0, 0.0, 0.0, 1e-13, 3.0, double(NAN), double(INFINITY), 1e300});
  board.add_histogram("w", x, 5);
  board.flush();
  const Fields h = values(board.path())[0].second[5];
  CHECK(h.numbers<double>(1) == std::vector{-2.0});
  CHECK(h.numbers<double>(2) == std::vector{1e300});
  CHECK(h.numbers<double>(3) == std::vector{6.0});
  const auto limits = h.numbers<double>(6), counts = h.numbers<double>(7);
  REQUIRE(limits.size() == counts.size());
  double total = 0;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (i > 0) CHECK(limits[i - 1] < limits[i]);
    const double from = i > 0 ? limits[i - 1] : -INFINITY;
    double expected = 0;
    for (const double v : x.to_vector<double>())
      expected += std::isfinite(v) && v > from && v <= limits[i];
    CHECK(counts[i] == expected);
    total += counts[i];
  }
  CHECK(total == 6);
  CHECK_THROWS_WITH(
      board.add_histogram("w", ag::full({2}, NAN), 0),
      ContainsSubstring("add_histogram: values must have at least one finite element"));
}

TEST_CASE("choices of a run are three messages that TensorBoard's table of runs reads") {
  const Scratch dir;
  nn::TensorBoardWriter board(dir.path());
  board.add_hparams({{"lr", 0.1}, {"model", "cnn"}, {"shuffle", true}}, {{"accuracy", 0.9}});
  const auto all = values(board.path());
  REQUIRE(all.size() == 4);
  const char* tags[] = {"_hparams_/experiment", "_hparams_/session_start_info", "accuracy",
                        "_hparams_/session_end_info"};
  for (std::size_t i = 0; i < 4; ++i) CHECK(all[i].second.text(1) == tags[i]);
  const Fields start(all[1].second[9][1][2].text(3));
  std::map<std::string, Fields> chosen;
  for (auto [it, end] = start.bytes.equal_range(1); it != end; ++it) {
    const Fields entry(it->second);
    chosen.emplace(entry.text(1), entry[2]);
  }
  CHECK(chosen.at("lr").numbers<double>(2) == std::vector{0.1});
  CHECK(chosen.at("model").text(3) == "cnn");
  CHECK(chosen.at("shuffle").integers.find(4)->second == 1);
}

TEST_CASE("what TensorBoard could not show is refused") {
  const Scratch dir;
  nn::TensorBoardWriter board(dir.path());
  CHECK_THROWS_WITH(board.add_scalar("", 1, 0), ContainsSubstring("add_scalar: a tag must not be"));
  CHECK_THROWS_WITH(board.add_scalar("x", 1, -1),
                    ContainsSubstring("add_scalar: step must be at least 0, got -1"));
  CHECK_THROWS_WITH(board.add_text("x", "\xff", 0), ContainsSubstring("add_text: "));
  CHECK_THROWS_WITH(board.add_image("x", ag::zeros({2, 3, 3}), 0),
                    ContainsSubstring("add_image: images must have shape"));
  board.flush();
  CHECK(records(board.path()).size() == 1);
  CHECK_THROWS_WITH(nn::TensorBoardWriter(board.path()),
                    ContainsSubstring("must be a directory that can be made"));
}

TEST_CASE("pictures of a TensorBoard file are PNG, several in one grid") {
  const Scratch dir;
  nn::TensorBoardWriter board(dir.path());
  board.add_image("one", ag::full({3, 4, 5}, 2.0), 1);
  board.add_images("ten", ag::zeros({10, 1, 4, 5}), 1);
  board.flush();
  const auto all = values(board.path());
  const auto size = [&](std::size_t i) {
    const Fields image = all[i].second[4];
    CHECK(image.text(4).starts_with("\x89PNG"));
    return std::vector{image.integers.find(1)->second, image.integers.find(2)->second,
                       image.integers.find(3)->second};
  };
  CHECK(size(0) == std::vector<std::uint64_t>{4, 5, 3});
  CHECK(size(1) == std::vector<std::uint64_t>{4 * 2 + 2, 5 * 8 + 7 * 2, 1});
}

TEST_CASE("a model's operations stand in an event, each with the layer whose parameters it uses") {
  const Scratch scratch;
  nn::Sequential model(nn::Linear(4, 3), nn::Dropout(), nn::Tanh(), nn::Linear(3, 2));
  nn::TensorBoardWriter writer(scratch.path());
  writer.add_graph(model, {ag::ones({2, 4})});
  writer.flush();
  CHECK(model.is_training());
  const std::string graph = records(writer.path()).at(1);
  for (const char* node : {"input_0", "0/weight", "0/linear", "tanh", "3/linear", "output_0"})
    CHECK_THAT(graph, ContainsSubstring(node));
  CHECK(graph.find("dropout") == graph.npos);
}
