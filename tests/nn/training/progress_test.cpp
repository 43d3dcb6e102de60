#include "nn/training/progress.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File scratch_file() { return {std::tmpfile(), std::fclose}; }

std::string written(std::FILE* file) {
  std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  return text;
}

}  // namespace

TEST_CASE("progress without a stream shows nothing and keeps its history") {
  nn::Progress progress("rank 1", 2, 0, nullptr);
  progress.step(3, 1.0);
  progress.step(3, 2.0);
  CHECK(progress.history().size() == 2);
}

TEST_CASE("progress tells steps, mean loss, speed and the time left") {
  const File out = scratch_file();
  nn::Progress progress("epoch 1/2", 4, 0, out.get());
  CHECK(progress.line(0) == "epoch 1/2  0/4  loss 0.0000");
  progress.step(3, 1.0);
  progress.step(1, 2.0);
  CHECK(progress.loss() == 1.25);
  CHECK(progress.line(2.0) == "epoch 1/2  2/4  loss 1.2500  2 samples/s  0:02 left");
  CHECK(progress.line(7322.0) == "epoch 1/2  2/4  loss 1.2500  0 samples/s  2:02:02 left");
}

TEST_CASE("progress tells how long all loops to come will take") {
  const File out = scratch_file();
  nn::Progress progress("epoch 1/3", 4, 0, out.get());
  progress.expect(8);
  progress.step(1, 1.0);
  CHECK(progress.line(2.0) ==
        "epoch 1/3  1/4  loss 1.0000  0 samples/s  0:06 left, 0:22 to go in all");
  for (int i = 0; i < 3; ++i) progress.step(1, 1.0);
  CHECK(progress.line(8.0) ==
        "epoch 1/3  4/4  loss 1.0000  0 samples/s  0:08 taken, 0:16 to go in all");
}

TEST_CASE("progress of a negative number of steps has none") {
  const File out = scratch_file();
  CHECK(nn::Progress("epoch", -5, -7, out.get()).line(1, 60) ==
        "epoch [===================================] 0/0  loss 0.0000");
}

TEST_CASE("progress draws a bar that fits the terminal") {
  const File out = scratch_file();
  nn::Progress progress("epoch", 4, 0, out.get());
  progress.step(8, 0.5);
  CHECK(progress.line(0, 50) == "epoch [======>                  ] 1/4  loss 0.5000");
  for (int width = 1; width < 120; ++width)
    CHECK(progress.line(1, width).size() <= static_cast<std::size_t>(width));
  for (int i = 0; i < 3; ++i) progress.step(8, 0.5);
  CHECK(progress.line(0, 30) == "epoch [=====] 4/4  loss 0.5000");
}

TEST_CASE("a resumed progress counts the earlier steps but not their time") {
  const File out = scratch_file();
  nn::Progress progress("epoch", 10, 6, out.get());
  progress.step(5, 1.0);
  progress.step(5, 1.0);
  CHECK(progress.line(1) == "epoch  8/10  loss 1.0000  10 samples/s  0:01 left");
}

TEST_CASE("progress prints plain lines where the output is no terminal") {
  const File out = scratch_file();
  {
    nn::Progress progress("epoch", 2, 0, out.get());
    progress.step(1, 0.5);
    progress.step(1, 1.5);
  }
  const std::string text = written(out.get());
  CHECK(text.find("epoch  2/2  loss 1.0000") == 0);
  CHECK(text.back() == '\n');
  CHECK(text.find_first_of("\r\x1b") == std::string::npos);
}

TEST_CASE("the progress of a loop within another stands below it on a terminal, and goes with it") {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0) {
    WARN("this system gives no terminal");
    return;
  }
  REQUIRE((grantpt(master) == 0 && unlockpt(master) == 0));
  {
    const File out(fdopen(open(ptsname(master), O_WRONLY | O_NOCTTY), "w"), std::fclose);
    REQUIRE(out);
    nn::Progress outer("runs", 2, 0, out.get());
    for (int i = 0; i < 2; ++i) {
      nn::Progress inner("steps", 1, 0, out.get());
      inner.step(1, 0.5);
      outer.step(1, 1.0);
    }
  }
  // All of it, which comes in pieces, until the terminal is gone.
  std::string text, piece(4096, ' ');
  for (ssize_t n; (n = read(master, piece.data(), piece.size())) > 0;)
    text.append(piece, 0, static_cast<std::size_t>(n));
  close(master);
  // What the terminal shows in the end.
  std::vector<std::string> screen{""};
  std::size_t row = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') continue;
    if (text.compare(i, 3, "\x1b[A") == 0) {
      --row, i += 2;
    } else if (text.compare(i, 3, "\x1b[K") == 0) {
      if (text[i - 1] == '\r') screen[row].clear();
      i += 2;
    } else if (text[i] == '\n') {
      if (++row == screen.size()) screen.emplace_back();
    } else {
      if (i > 0 && text[i - 1] == '\r') screen[row].clear();
      screen[row] += text[i];
    }
  }
  CHECK(row == 1);
  CHECK(screen[0].find("2/2  loss 1.0000") != std::string::npos);
  CHECK(text.find("0/2") < text.find("steps"));
}

TEST_CASE("progress keeps what it was told, as CSV and as lines of JSON") {
  const File out = scratch_file();
  const Scratch scratch;
  nn::Progress progress("epoch", 6, 4, out.get());
  CHECK_THROWS_WITH(progress.metric("accuracy", 1),
                    "progress: metrics must follow a step, got accuracy before the first");
  progress.step(3, 0.1);
  progress.metric("top \"5\", mean", 0.5);
  progress.step(2, NAN);
  progress.metric("accuracy", 0.25);
  progress.metric("accuracy", 0.75);
  CHECK_THROWS_WITH(progress.metric("loss", 1),
                    "progress: metrics must not have the name of a column, got loss");
  REQUIRE(progress.history().size() == 2);
  CHECK(progress.history()[1].step == 6);
  const std::string first = fmt::format("{}", progress.history()[0].seconds),
                    second = fmt::format("{}", progress.history()[1].seconds);
  progress.save_csv(scratch / "h.csv");
  CHECK(read_bytes(scratch / "h.csv") ==
        "step,samples,loss,seconds,\"top \"\"5\"\", mean\",accuracy\n5,3,0.1," + first +
            ",0.5,\n6,2,nan," + second + ",,0.75\n");
  progress.save_jsonl(scratch / "h.jsonl");
  const std::string lines = read_bytes(scratch / "h.jsonl");
  CHECK_THAT(lines, Catch::Matchers::StartsWith("{\"step\":5,\"samples\":3,\"loss\":0.1,"));
  CHECK_THAT(lines, Catch::Matchers::ContainsSubstring("\"loss\":null"));
  CHECK_THAT(lines, Catch::Matchers::ContainsSubstring("\"accuracy\":0.75}\n"));
}
