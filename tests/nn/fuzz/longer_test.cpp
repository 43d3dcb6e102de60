#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <iterator>
#include <set>
#include <sstream>

#include "tests/catch.hpp"
#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/scratch.hpp"

// XGRAD_FUZZ="SECONDS SEED READER…" nn_tests "[fuzz]": for longer than the tests have time, best with
// sanitizers; without a reader for all. The file that a reader dies of is left where it says.
TEST_CASE("damaged files for as long as XGRAD_FUZZ says", "[.fuzz]") {
  const char* const said = std::getenv("XGRAD_FUZZ");
  std::istringstream words(said ? said : "");
  double seconds = 60;
  std::uint64_t seed = 2;
  words >> seconds >> seed;
  const std::set<std::string> wanted{std::istream_iterator<std::string>(words), {}};
  auto targets = fuzz::targets();
  std::erase_if(targets, [&](auto& t) { return !wanted.empty() && !wanted.contains(t.reader); });
  REQUIRE(!targets.empty());
  const Scratch scratch;
  for (const fuzz::Target& target : targets) {
    const std::string path = scratch / "file";
    fmt::print("{}: {}, seed {}\n", target.reader, path, seed);
    std::fflush(stdout);
    const auto begin = std::chrono::steady_clock::now();
    const std::chrono::duration<double> share(seconds / static_cast<double>(targets.size()));
    fuzz::Count count;
    std::uint64_t files = 0;
    for (; std::chrono::steady_clock::now() - begin < share; files += 500) {
      try {
        const fuzz::Count more = fuzz::run(target, seed, files, files + 500, path);
        count.taken += more.taken, count.refused += more.refused;
      } catch (const std::exception& e) {
        const std::string kept = "fuzz_" + std::to_string(seed) + ".file";
        write_bytes(kept, read_bytes(path));
        FAIL(e.what() << "; the file is " << kept);
      }
    }
    fmt::print("  {} files: {} taken, {} refused\n", files, count.taken, count.refused);
  }
}
