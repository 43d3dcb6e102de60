#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>

#include "autograd/ops/ops.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

namespace {

nn::StateDict filled(std::int64_t n, double value) { return {{"x", ag::full({n}, value)}}; }
double value_of(const std::string& path) {
  return nn::load_tensors(path)[0].tensor.to_vector<float>()[0];
}

std::ptrdiff_t temporaries(const Scratch& scratch) {
  return std::count_if(fs::directory_iterator(scratch.path()), {},
                       [](const auto& entry) { return entry.path().extension() == ".tmp"; });
}

// A child that is killed in the midst of its save, when its temporary file is there.
void kill_while_saving(const std::string& path, const Scratch& scratch) {
  const auto before = temporaries(scratch);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0)
    for (;;) nn::save(filled(2'000'000, 7), path);
  bool left = false;
  while (!left) {
    kill(child, SIGSTOP);
    waitpid(child, nullptr, WUNTRACED);
    left = temporaries(scratch) > before;
    if (!left) kill(child, SIGCONT);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  REQUIRE(temporaries(scratch) == before + 1);
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const ag::Error& e) {
    return e.what();
  }
  return "nothing thrown";
}

}  // namespace

TEST_CASE("what a killed save left behind is removed by the next save or load of that path") {
  const Scratch scratch;
  const std::string path = scratch / "m.safetensors", other = scratch / "other.safetensors",
                    link = scratch / "link";
  nn::save(filled(10, 1), path);
  nn::save(filled(10, 2), other);
  fs::create_symlink("m.safetensors", link);
  for (int i = 0; i < 2; ++i) {
    kill_while_saving(path, scratch);
    value_of(other);
    nn::save(filled(10, 2), other);
    CHECK(temporaries(scratch) == 1);  // another path's
    if (i == 0)
      nn::save(filled(10, 3), path);
    else
      value_of(link);
    CHECK(temporaries(scratch) == 0);
  }
}

TEST_CASE("the file of a save that goes on is not taken for a dead one") {
  const Scratch scratch;
  const std::string path = scratch / "m.safetensors";
  nn::save(filled(10, 1), path);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) try {
      for (int i = 0; i < 40; ++i) nn::save(filled(20'000, 7), path);
      _exit(0);
    } catch (...) {
      _exit(1);  // it lost its file
    }
  int status = -1;
  while (waitpid(child, &status, WNOHANG) == 0) {
    value_of(path);
    nn::save(filled(1000, 2), path);
  }
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  CHECK(temporaries(scratch) == 0);
}

TEST_CASE("saving through a link that dangles makes the file that it names") {
  const Scratch scratch;
  const std::string link = scratch / "latest", path = scratch / "m.safetensors";
  fs::create_symlink("m.safetensors", link);
  nn::save(filled(3, 1), link);
  CHECK(fs::is_symlink(link));
  CHECK(value_of(path) == 1);
  fs::create_symlink("absent/m.safetensors", scratch / "lost");
  CHECK_THROWS_WITH(nn::save(filled(3, 1), scratch / "lost"),
                    ContainsSubstring("got 'No such file or directory' on trying to create"));
  CHECK(fs::is_symlink(scratch / "lost"));
  fs::create_symlink("circle", scratch / "circle");
  CHECK_THROWS_WITH(nn::save(filled(3, 1), scratch / "circle"),
                    ContainsSubstring("links must lead to a file"));
}

TEST_CASE("a read-only file is not replaced") {
  const Scratch scratch;
  const std::string path = scratch / "m.safetensors";
  nn::save(filled(3, 1), path);
  chmod(path.c_str(), 0444);
  CHECK_THROWS_WITH(nn::save(filled(3, 2), path),
                    path +
                        ": must be writable, got a read-only file; allow writing, or save "
                        "elsewhere");
  CHECK(value_of(path) == 1);
}

TEST_CASE("pipes, directories, devices and names that are none are refused in one line, at once") {
  const Scratch scratch;
  const std::string pipe = scratch / "pipe", directory = scratch / "directory";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  fs::create_directory(directory);
  nn::Linear model(1, 1);
  nn::Checkpoint checkpoint{{"model", model}};
  const std::vector<std::function<void(const std::string&)>> uses{
      [](const std::string& p) { nn::load_tensors(p); },
      [](const std::string& p) { nn::load_tensors(p, {"x"}); },
      [&](const std::string& p) { nn::load(model, p); },
      [&](const std::string& p) { nn::save(model, p); },
      [](const std::string& p) { nn::save(filled(1, 1), p); },
      [](const std::string& p) { nn::write_safetensors(p, filled(1, 1)); },
      [&](const std::string& p) { checkpoint.load(p); },
      [&](const std::string& p) { checkpoint.save(p); },
      [](const std::string& p) { nn::data::read_idx(p); },
      [](const std::string& p) { nn::data::read_labelled_images(p, p); },
      [](const std::string& p) { nn::data::InputFile file(p); }};
  CHECK_THROWS_WITH(nn::data::load_mnist(scratch / std::string("a\0b", 3)),
                    ContainsSubstring("a path must not hold a zero byte"));
  for (const auto& use : uses) {
    CHECK_THAT(message_of([&] { use(pipe); }), ContainsSubstring("pipe"));
    CHECK_THAT(message_of([&] { use(directory); }), ContainsSubstring("file, got a directory"));
    CHECK_THAT(message_of([&] { use("/dev/zero"); }), ContainsSubstring("file, got a device"));
    CHECK_THAT(message_of([&] { use(""); }),
               ContainsSubstring("path: must be the name of a file, got an empty one"));
    const std::string zero = scratch / std::string("a\0b", 3);
    CHECK(message_of([&] { use(zero); }) ==
          scratch / "a\\x00b: a path must not hold a zero byte, got one at byte " +
              std::to_string(scratch.path().size() + 2));
  }
  CHECK(scratch.entries() == 2);
}

TEST_CASE("an error is one line whatever names and keys hold") {
  const Scratch scratch;
  const std::string path = scratch / "a\nb\x1b[31m", name = "weight\r\nx\t";
  const auto one_line = [](const std::string& text) {
    CHECK(text != "nothing thrown");
    CHECK(std::none_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }));
  };
  nn::Linear model(1, 1);
  one_line(message_of([&] { nn::load_tensors(path); }));
  one_line(message_of([&] { nn::load(model, path); }));
  one_line(message_of([&] { nn::data::read_idx(path); }));
  one_line(message_of([&] { nn::data::load_mnist(path); }));
  one_line(message_of([&] { nn::Checkpoint{{"model", model}}.load(path); }));
  one_line(message_of([&] { nn::save(nn::StateDict{{name, ag::Tensor()}}, path); }));
  nn::save(nn::StateDict{{name, ag::zeros({1})}}, path);
  one_line(message_of([&] { nn::load(model, path); }));
  one_line(message_of([&] { model.load_state_dict(nn::load_tensors(path)); }));
  one_line(message_of([&] { nn::Checkpoint{{"model", model}}.load(path); }));
  CHECK(message_of([&] { nn::load_tensors(path).at("no\n"); }) ==
        "state_dict: the name must be one of the 1 here, got 'no\\n'");
  CHECK(std::string(ag::Error("a\tb\x7f").what()) == "a\\tb\\x7f");
}

TEST_CASE("a target is asked for before it is written, without a trace") {
  const Scratch scratch;
  nn::check_writable(scratch / "new");
  CHECK(scratch.entries() == 0);
  nn::save(nn::Linear(1, 1), scratch / "old");
  const std::string before = read_bytes(scratch / "old");
  nn::check_writable(scratch / "old");
  CHECK(read_bytes(scratch / "old") == before);
  CHECK(scratch.entries() == 1);
  CHECK_THROWS_WITH(nn::check_writable(scratch / "absent/x"),
                    ContainsSubstring("No such file or directory"));
  CHECK_THROWS_WITH(nn::check_writable(scratch / std::string(256, 'x')),
                    ContainsSubstring("got 'File name too long' on trying to look for it"));
  CHECK_THROWS_WITH(nn::check_writable(scratch.path()), ContainsSubstring("got a directory"));
}
