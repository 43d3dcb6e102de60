#include "nn/io/save.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "nn/layers/linear.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

nn::StateDict filled(std::int64_t n, double value) {
  return {{"a", ag::full({n}, value)}, {"b", ag::full({n}, value, ag::float64)}};
}

// The value that all elements have.
double value_of(const nn::StateDict& state) {
  const auto a = state.at("a").to_vector<float>();
  const auto b = state.at("b").to_vector<double>();
  REQUIRE(std::all_of(a.begin(), a.end(), [&](float x) { return x == a[0]; }));
  REQUIRE(std::all_of(b.begin(), b.end(), [&](double x) { return x == double(a[0]); }));
  return b.at(0);
}

// Files may not grow beyond `bytes` while this lives; writes fail rather than kill.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    old_action_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit small{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_action_);
  }

 private:
  rlimit old_{};
  void (*old_action_)(int);
};

// Runs `work` in a child process and returns the signal that killed it (0: none).
template <class F>
int killed_by(F work) {
  const pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST_CASE("a saved model loads into another of the same kind") {
  const Scratch scratch;
  const nn::Linear from(3, 2);
  nn::Linear to(3, 2);
  const auto path = scratch / "m.safetensors";
  nn::save(from, path);
  CHECK(nn::load(to, path).missing.empty());
  CHECK(to.weight.to_vector<float>() == from.weight.to_vector<float>());
  CHECK(to.bias.to_vector<float>() == from.bias.to_vector<float>());
  CHECK(to.weight.requires_grad());
  CHECK(nn::load_tensors(path).at("weight").shape() == ag::Shape{2, 3});
  CHECK(nn::read_safetensors(path).metadata == nn::Metadata{{"format", "pt"}});
}

TEST_CASE("loading into another model names what differs and changes nothing") {
  const Scratch scratch;
  const auto path = scratch / "m.safetensors";
  nn::save(nn::Linear(3, 2), path);
  nn::Linear other(2, 2), without_bias(3, 2, false);
  const auto before = other.weight.to_vector<float>();
  CHECK_THROWS_WITH(nn::load(other, path),
                    path +
                        ": load_state_dict: names and shapes must be those of Linear, got shape of "
                        "weight (2, 3) for (2, 2)");
  CHECK(other.weight.to_vector<float>() == before);
  CHECK_THROWS_WITH(nn::load(without_bias, path), ContainsSubstring("unexpected bias"));
  CHECK(nn::load(without_bias, path, false).unexpected == std::vector<std::string>{"bias"});
}

TEST_CASE("loading another dtype is refused and says what to do") {
  const Scratch scratch;
  const auto path = scratch / "m.safetensors";
  nn::Linear model(1, 1), other(1, 1);
  model.to(ag::float64);
  nn::save(model, path);
  CHECK_THROWS_WITH(
      nn::load(other, path),
      path +
          ": load: dtypes must be those of the model, got weight float64 for float32, "
          "bias float64 for float32; call model.to(float64) first");
  other.to(ag::float64);
  CHECK_NOTHROW(nn::load(other, path));
  CHECK_THROWS_WITH(
      nn::load(other, nn::StateDict{{"weight", ag::zeros({1, 1}, ag::int64)}}),
      "load: dtypes must be those of the model, got weight int64 for float64; convert the "
      "tensors with .to(dtype)");
}

TEST_CASE("an absent file is named") {
  nn::Linear model(2, 2);
  CHECK_THROWS_WITH(
      nn::load(model, "no-such-file.safetensors"),
      "no-such-file.safetensors: the file must be readable, got: No such file or directory");
}

TEST_CASE("a full disk leaves the old file and nothing else") {
  const Scratch scratch;
  const auto path = scratch / "m.safetensors";
  nn::save(filled(10, 1), path);
  for (const rlim_t room :
       {0, 5, 100, 4096, 12000}) {  // within the header, the first, the second tensor
    const FullDisk full(room);
    CHECK_THROWS_WITH(
        nn::save(filled(1000, 2), path),
        path +
            ": the file must be writable, got 'File too large' on trying to write; an "
            "older one is unchanged");
  }
  CHECK(value_of(nn::load_tensors(path)) == 1);
  CHECK(scratch.entries() == 1);
  nn::save(filled(1000, 2), path);
  CHECK(value_of(nn::load_tensors(path)) == 2);
}

TEST_CASE("a process killed while it saves leaves the old file") {
  const Scratch scratch;
  const auto path = scratch / "m.safetensors";
  nn::save(filled(10, 1), path);
  const nn::StateDict next = filled(100'000, 2);
  CHECK(killed_by([&] {
          const rlimit none{0, 0}, half{600'000, 600'000};
          setrlimit(RLIMIT_CORE, &none);
          std::signal(SIGXFSZ, SIG_DFL);  // the kernel kills at this byte
          setrlimit(RLIMIT_FSIZE, &half);
          nn::save(next, path);
        }) == SIGXFSZ);
  CHECK(value_of(nn::load_tensors(path)) == 1);
  nn::save(next, path);
  CHECK(value_of(nn::load_tensors(path)) == 2);
}

TEST_CASE("a reader sees whole files only, until the writer is killed and after") {
  const Scratch scratch;
  const auto path = scratch / "m.safetensors";
  nn::save(filled(50'000, 0), path);
  const pid_t child = fork();
  if (child == 0)
    for (int i = 1;; ++i) nn::save(filled(50'000, i), path);
  double seen = 0;
  while (seen < 5) {  // goes on until the child has replaced the file five times
    REQUIRE(waitpid(child, nullptr, WNOHANG) == 0);
    const double now = value_of(nn::load_tensors(path));
    REQUIRE(now >= seen);
    seen = now;
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK(value_of(nn::load_tensors(path)) >= seen);
}

TEST_CASE("saving where no file can be made names the file and the reason") {
  const Scratch scratch;
  const auto nowhere = scratch / "absent/m.safetensors";
  CHECK_THROWS_WITH(nn::save(filled(1, 1), nowhere),
                    nowhere +
                        ": the file must be writable, got 'No such file or directory' on trying to "
                        "create a file beside it; an older one is unchanged");
  CHECK_THROWS_WITH(nn::save(filled(1, 1), scratch.path()),
                    scratch.path() + ": must be a regular file, got a directory");
  CHECK_THROWS_WITH(nn::save(filled(1, 1), "/dev/null"),
                    "/dev/null: must be a regular file, got a device");
}

TEST_CASE("saving without permission names the file and the reason") {
  const Scratch scratch;
  const auto path = scratch / "m.safetensors";
  nn::save(filled(1, 1), path);
  chmod(scratch.path().c_str(), 0555);
  const bool root = geteuid() == 0;
  if (root) REQUIRE(seteuid(65534) == 0);  // permissions do not stop the superuser
  std::string message;
  try {
    nn::save(filled(1, 2), path);
  } catch (const ag::Error& e) {
    message = e.what();
  }
  if (root) REQUIRE(seteuid(0) == 0);
  chmod(scratch.path().c_str(), 0755);
  CHECK(message == path +
                       ": the file must be writable, got 'Permission denied' on trying to create a "
                       "file beside it; an older one is unchanged");
  CHECK(value_of(nn::load_tensors(path)) == 1);
}

TEST_CASE("loading without permission names the file and the reason") {
  const Scratch scratch;
  const auto path = scratch / "m.safetensors";
  nn::save(filled(1, 1), path);
  chmod(scratch.path().c_str(), 0755);
  chmod(path.c_str(), 0);
  const bool root = geteuid() == 0;
  if (root) REQUIRE(seteuid(65534) == 0);
  std::string message;
  try {
    nn::load_tensors(path);
  } catch (const ag::Error& e) {
    message = e.what();
  }
  if (root) REQUIRE(seteuid(0) == 0);
  CHECK(message == path + ": the file must be readable, got: Permission denied");
}

TEST_CASE("saving keeps the mode of the old file and the link to it") {
  const Scratch scratch;
  const auto path = scratch / "m.safetensors", link = scratch / "latest";
  nn::save(filled(1, 1), path);
  chmod(path.c_str(), 0640);
  std::filesystem::create_symlink("m.safetensors", link);
  nn::save(filled(1, 2), link);
  CHECK(std::filesystem::is_symlink(link));
  CHECK(value_of(nn::load_tensors(path)) == 2);
  struct stat info {};
  stat(path.c_str(), &info);
  CHECK((info.st_mode & 0777) == 0640);
}
