// usage: fuzz_readers [SECONDS [SEED [READER…]]]   damaged files for the readers of files, for
// longer than the tests have time; best with sanitizers. The file that a reader dies of is left
// where it says.
#include <fmt/core.h>

#include <chrono>
#include <cstdlib>
#include <set>
#include <string>

#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/scratch.hpp"

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 60;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 2;
  const std::set<std::string> wanted(argv + std::min(argc, 3), argv + argc);
  std::vector<fuzz::Target> targets = fuzz::targets();
  std::erase_if(targets, [&](const fuzz::Target& target) {
    return !wanted.empty() && !wanted.contains(target.reader);
  });
  const Scratch scratch;
  for (const fuzz::Target& target : targets) {
    const std::string path = scratch / "file";
    fmt::print("{}: {}, seed {}\n", target.reader, path, seed);
    std::fflush(stdout);
    const auto begin = std::chrono::steady_clock::now();
    const std::chrono::duration<double> share(seconds / static_cast<double>(targets.size()));
    fuzz::Count count;
    std::uint64_t files = 0;
    while (std::chrono::steady_clock::now() - begin < share) {
      try {
        const fuzz::Count more = fuzz::run(target, seed, files, files + 500, path);
        count.taken += more.taken, count.refused += more.refused;
        files += 500;
      } catch (const std::exception& e) {
        const std::string kept = "fuzz_" + std::to_string(seed) + ".file";
        write_bytes(kept, read_bytes(path));
        return fmt::print("{}; the file is {}\n", e.what(), kept), 1;
      }
    }
    fmt::print("  {} files: {} taken, {} refused\n", files, count.taken, count.refused);
  }
  return targets.empty() ? (fmt::print(stderr, "no such reader\n"), 2) : 0;
}
