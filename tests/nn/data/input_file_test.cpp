#include "nn/data/readers/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <fstream>
#include <functional>
#include <thread>

#include "nn/data/readers/csv.hpp"
#include "nn/data/readers/idx.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/nn/training/allocations.hpp"

namespace data = nn::data;
using Catch::Matchers::Equals;

namespace {

void write_gzip(const std::string& path, const std::string& bytes) {
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

std::string repeated(const std::string& bytes, int n) {
  std::string all;
  while (n-- > 0) all += bytes;
  return all;
}

// A small file that unpacks to 300 MiB: members may follow one another.
void write_bomb(const std::string& path, const std::string& line) {
  write_gzip(path, repeated(line, (1 << 20) / static_cast<int>(line.size())));
  write_bytes(path, repeated(read_bytes(path), 300));
}

}  // namespace

TEST_CASE("gzip data that unpacks to far more than real data does is refused") {
  const Scratch dir;
  const std::string path = dir / "bomb";
  write_bomb(path, "0," + std::string(4093, '0') + "\n");
  const std::string refusal =
      path + ": gzip data must unpack to at most 268435456 bytes, got more from ";
  CHECK_THROWS_WITH(data::read_csv(path, {.header = data::Header::no}),
                    Catch::Matchers::StartsWith(refusal));
  CHECK_THROWS_WITH(data::InputFile(path).read_all(), Catch::Matchers::StartsWith(refusal));
  const std::string header("\0\0\x08\1\x20\0\0\0", 8);
  write_gzip(dir / "header", header);
  write_bytes(path, read_bytes(dir / "header") + read_bytes(path));
  CHECK_THROWS_WITH(data::read_idx(path), Catch::Matchers::StartsWith(refusal));
}

TEST_CASE("the number of bytes that gzip data may unpack to is the caller's") {
  const Scratch dir;
  const std::string path = dir / "t.csv.gz";
  write_gzip(path, "a,b\n1,2\n");
  const auto size = std::to_string(read_bytes(path).size());
  CHECK(data::read_csv(path, {.max_unpacked = 8}).rows() == 1);
  CHECK_THROWS_WITH(
      data::read_csv(path, {.max_unpacked = 7}),
      Equals(path + ": gzip data must unpack to at most 7 bytes, got more from " + size +
             " bytes; raise max_unpacked or unpack the file yourself if you trust "
             "it"));
  CHECK_THROWS_WITH(data::InputFile(path, -1),
                    Equals("InputFile: max_unpacked must be at least 0, got -1"));
  write_bytes(path, "a,b\n1,2\n");  // nothing to unpack
  CHECK(data::read_csv(path, {.max_unpacked = 0}).rows() == 1);
}

TEST_CASE("a table takes memory for what is in it, not for its text") {
  const Scratch dir;
  const std::string path = dir / "t.csv.gz";
  write_gzip(path, "a,b\n" + repeated("1," + std::string(1000, 'x') + "\n", 20'000));
  data::Table table;
  const auto largest =
      largest_allocation_of([&] { table = data::read_csv(path, {.columns = {"a"}}); });
  CHECK(table.rows() == 20'000);
  if (largest) CHECK(*largest < 1'000'000);  // of a text of 20 million bytes
}

TEST_CASE("a file that does not fit in memory is refused as any other") {
  const Scratch dir;
  write_bytes(dir / "t.csv", "a\n" + repeated("1\n", 100'000));
  const auto idx = std::string("\0\0\x08\1\0\x20\0\0", 8) + std::string(2 << 20, '\0');
  write_bytes(dir / "idx", idx);
  std::string csv, images;
  const auto error_of = [](const std::function<void()>& run) {
    try {
      run();
    } catch (const autograd::Error& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  if (!with_blocks_up_to(500'000, [&] {
        csv = error_of([&] { data::read_csv(dir / "t.csv", {.header = data::Header::yes}); });
        images = error_of([&] { data::read_idx(dir / "idx"); });
      }))
    return;
  CHECK(csv == dir / "t.csv: the table must fit in memory, got one that does not; choose .columns");
  CHECK(images == dir / "idx: the elements must fit in memory, got 2097152 bytes");
}

TEST_CASE("a named pipe is read where somebody writes, and refused where nobody does") {
  const Scratch dir;
  const std::string path = dir / "pipe";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  CHECK_THROWS_WITH(data::read_csv(path),
                    Equals(path + ": must hold data, got a pipe that nobody writes to"));
  const int both = open(path.c_str(), O_RDWR);  // so that neither end waits for the other
  const std::string text = "a,b\n1,2\n" + repeated("3,4\n", 100'000);
  std::thread writer([&] {
    std::ofstream(path) << text;
    close(both);
  });
  CHECK(data::read_csv(path).rows() == 100'001);
  writer.join();
}

TEST_CASE("a path with a NUL is refused") {
  CHECK_THROWS_WITH(data::InputFile(std::string("a\0b", 3)),
                    Equals("a\\x00b: a path must not hold a zero byte, got one at byte 1"));
}
