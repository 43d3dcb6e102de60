// usage: allocations [MOST [WORK…]]
// Fails each allocation of every work, one after the other: the n-th alone, it and the next
// one, and all from it on.
// Of a work with more than MOST (0: no bound; default 100) some are left out, evenly. After each the
// error must be std::bad_alloc or ag::Error, nothing may be harmed or leaked, and the same work done
// again must give the same bytes.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <typeinfo>

#include "autograd/core/errors.hpp"
#include "autograd/core/memory.hpp"
#include "autograd/core/tensor.hpp"
#include "tests/fire/failing_malloc.hpp"
#include "tests/fire/work.hpp"

namespace ag = autograd;
using fire::Fails;

namespace {

// Where the process is, for the last words.
const char* work_now = "";
std::int64_t n_now = 0;
Fails how_now = Fails::once;

constexpr const char* kSaid[] = {"", " and the next one", " and all later ones"};

void say_where() {
  fire::stop_failing();
  fmt::print(stderr, "{}: allocation {}{} failed here:\n", work_now, n_now,
             kSaid[static_cast<int>(how_now)]);
  fire::print_place();
}
void last_words(int signal) {
  say_where();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

// Before tensors in static storage: the pool would keep most allocations from malloc.
[[gnu::constructor(101)]] void close_pool() { setenv("XGRAD_POOL", "off", 1); }

[[noreturn]] void fault(const std::string& what) { throw std::runtime_error(what); }

// Runs it with a failure; returns whether there was one.
bool hit(const fire::Attempt& attempt, const std::string& right, std::int64_t& survived) {
  std::string got = right;
  fire::fail_at(n_now, how_now);
  try {
    got = attempt.run();
    if (!fire::stop_failing()) return false;
    ++survived;
  } catch (const std::bad_alloc&) {
    fire::stop_failing();
  } catch (const ag::Error&) {
    fire::stop_failing();
  } catch (const std::exception& e) {
    fire::stop_failing();
    fault(fmt::format("threw {}: {}", typeid(e).name(), e.what()));
  }
  if (got != right) fault("no error, and another result");
  return true;
}

std::int64_t count(const fire::Work& work, const std::string& right) {
  const fire::Attempt attempt = work.begin();
  fire::fail_at(std::int64_t{1} << 60, Fails::once);
  const bool same = attempt.run() == right;
  fire::stop_failing();
  if (!same) fault("not the same twice, without a failure");
  return fire::allocations();
}

// What lives besides what the caller holds.
struct Living {
  std::int64_t bytes = ag::memory_stats().in_use, blocks = fire::live_blocks();
};

bool injected(const fire::Work& work, const std::string& right, std::int64_t& survived) {
  const fire::Attempt attempt = work.begin();
  const bool was_hit = hit(attempt, right, survived);
  attempt.unharmed();
  if (attempt.run() != right) fault("done again, it gives another result");
  return was_hit;
}

std::string run(const fire::Work& work, std::int64_t most) {
  work_now = work.name.c_str();
  const std::string right = work.begin().run();
  for (int i = 0; i < 2; ++i) count(work, right);  // what is kept from then on is there
  const std::int64_t all = count(work, right);
  const std::int64_t stride = most == 0 ? 1 : std::max<std::int64_t>(1, (all + most - 1) / most);
  std::int64_t failures = 0, survived = 0;
  for (const Fails how : {Fails::once, Fails::twice, Fails::from_then_on}) {
    how_now = how;
    // Threads make the number of allocations differ a little.
    for (n_now = stride * static_cast<int>(how) / 3;; n_now += stride, ++failures) {
      const Living before;
      const bool was_hit = injected(work, right, survived);
      const Living after;
      if (!work.threads && after.bytes != before.bytes)
        fault(fmt::format("{} bytes of tensors leak", after.bytes - before.bytes));
      if (after.blocks != before.blocks && !fire::failed_in_leaky_library())
        fault(fmt::format("{} blocks leak", after.blocks - before.blocks));
      if (!was_hit) break;
    }
  }
  return fmt::format("{} allocations, {} failures, {} of them without an error", all, failures,
                     survived);
}

// In a process of its own, so that the death of one does not hide the others.
bool passes(const fire::Work& work, std::int64_t most) {
  const pid_t child = fork();
  if (child == 0) {
    for (const int s : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE}) std::signal(s, last_words);
    try {
      fmt::print("{}: {}\n", work.name, run(work, most));
      std::fflush(stdout);
      _exit(0);
    } catch (const std::exception& e) {
      say_where();
      fmt::print(stderr, "{}: {}\n", work.name, e.what());
      _exit(1);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) fmt::print(stderr, "{}: FAILED, status {}\n", work.name, status);
  return status == 0;
}

}  // namespace

int main(int argc, char** argv) {
  ag::empty({100'000}, ag::float32);
  if (ag::memory_stats().kept != 0) return fmt::print(stderr, "the pool is not off\n"), 1;
  const char* const longer = std::getenv("XGRAD_FIRE");
  const std::int64_t most = argc > 1 ? std::atoll(argv[1]) : longer ? std::atoll(longer) : 100;
  const std::set<std::string> wanted(argv + std::min(argc, 2), argv + argc);
  bool all_pass = true, any = false;
  for (const auto& [file, works] : fire::Works::all())
    for (const fire::Work& work : works.front()())
      if (wanted.empty() || wanted.contains(work.name))
        any = true, all_pass = passes(work, most) && all_pass;
  if (!any) fmt::print(stderr, "no such work\n");
  return all_pass && any ? 0 : 1;
}
