// usage: power_loss [EPOCHS [SUBSETS [SEED]]]
// What a run that saves asks of its disk is recorded. The power then fails after each call, and of what was not synced
// the disk holds nothing, all, names without what is in the files, the reverse, or one of SUBSETS random subsets
// in which the last write is torn. The checkpoint that is there after each must load, and must be at least as new as the
// last one whose save had returned. To check the check, the same without the syncs must lose some.
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <exception>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/fire/bytes.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;

namespace {

enum class Call { create, write, sync, sync_names, rename, remove, returned };
struct Event {
  Call call;
  std::size_t file = 0;      // create, write, sync: which of all that were made
  std::string name{}, to{};  // create, rename, remove
  std::size_t place = 0;     // write
  std::string bytes{};       // write
  std::int64_t epoch = 0;    // returned: of the checkpoint that is safe from now on
};

std::vector<Event> trace;
std::string watched;                      // the directory; empty: nothing is recorded
std::map<ino_t, std::size_t> files_made;  // the system uses its numbers again

template <class F>
F next(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}
std::string name_in(const char* path) {
  const std::string text = path;
  if (watched.empty() || !text.starts_with(watched + '/')) return {};
  return text.substr(watched.size() + 1);
}
// Whether what a descriptor stands for is recorded, and its number.
bool is_watched(int fd, struct stat& s) {
  if (watched.empty()) return false;
  char link[32], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path);
  return n > 0 && std::string(path, static_cast<std::size_t>(n)).starts_with(watched) &&
         fstat(fd, &s) == 0;
}

}  // namespace

// In place of the C library's. No sync reaches the disk: only what is recorded counts.
extern "C" {

ssize_t write(int fd, const void* data, size_t bytes) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  struct stat s {};
  if (!is_watched(fd, s)) return real(fd, data, bytes);
  const off_t place = lseek(fd, 0, SEEK_CUR);
  const ssize_t n = real(fd, data, bytes);
  if (n > 0)
    trace.push_back({.call = Call::write,
                     .file = files_made[s.st_ino],
                     .place = static_cast<std::size_t>(place),
                     .bytes = {static_cast<const char*>(data), static_cast<std::size_t>(n)}});
  return n;
}
int fsync(int fd) {
  struct stat s {};
  if (is_watched(fd, s))
    trace.push_back(
        {.call = S_ISDIR(s.st_mode) ? Call::sync_names : Call::sync, .file = files_made[s.st_ino]});
  return 0;
}
int rename(const char* from, const char* to) noexcept {
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  const int status = real(from, to);
  if (const std::string name = name_in(to); status == 0 && !name.empty())
    trace.push_back({.call = Call::rename, .name = name_in(from), .to = name});
  return status;
}
int unlink(const char* path) noexcept {
  static const auto real = next<int (*)(const char*)>("unlink");
  const int status = real(path);
  if (const std::string name = name_in(path); status == 0 && !name.empty())
    trace.push_back({.call = Call::remove, .name = name});
  return status;
}
int open(const char* path, int flags, ...) {
  static const auto real = next<int (*)(const char*, int, ...)>("open");
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list list;
    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
  }
  const int fd = real(path, flags, mode);
  struct stat s {};
  if (fd >= 0 && (flags & O_CREAT) && !name_in(path).empty() && fstat(fd, &s) == 0)
    trace.push_back({.call = Call::create,
                     .file = files_made[s.st_ino] = trace.size() + 1,
                     .name = name_in(path)});
  return fd;
}
}

namespace {

struct Run {
  nn::Sequential model{nn::Dropout(0.1), nn::MLP(4, {16}, 2)};
  nn::optim::Adam optimizer{model.parameters(), {.lr = 0.01}};
  nn::Checkpoint checkpoint{{"model", model}, {"adam", optimizer}};
  std::string bytes() const {
    return fire::bytes_of(model.state_dict()) + fire::bytes_of(optimizer.state_dict());
  }
};

// What each checkpoint holds, by epoch.
std::map<std::int64_t, std::string> record(const std::string& directory, std::int64_t epochs) {
  ag::manual_seed(1);
  Run run;
  std::map<std::int64_t, std::string> right;
  watched = directory;
  for (std::int64_t epoch = 1; epoch <= epochs; ++epoch) {
    run.optimizer.zero_grad();
    ag::sum(ag::square(run.model(ag::randn({8, 4})))).backward();
    run.optimizer.step();
    run.checkpoint.epoch = epoch;
    run.checkpoint.save(directory + "/run");
    trace.push_back({.call = Call::returned, .epoch = epoch});
    right[epoch] = run.bytes();
  }
  watched.clear();
  return right;
}

// What of the calls that were not synced the disk holds.
enum class Kept { nothing, all, names, contents, some };

class Disk {
 public:
  Disk(std::size_t calls, bool with_syncs, Kept kept, std::mt19937_64& random)
      : calls_(calls), with_syncs_(with_syncs), kept_(kept), random_(random) {}

  // The files after the power failed, by name.
  std::map<std::string, std::string> files() {
    std::map<std::size_t, std::string> contents;
    std::map<std::string, std::size_t> names, now;  // on the disk; as the program saw them
    std::map<std::size_t, std::size_t> last_write;
    for (std::size_t i = 0; i < calls_; ++i)
      if (trace[i].call == Call::write) last_write[trace[i].file] = i;
    for (std::size_t i = 0; i < calls_; ++i) {
      const Event& e = trace[i];
      if (e.call == Call::write) {
        if (holds(i)) put(contents[e.file], e, last_write[e.file] == i && !synced(i));
        continue;
      }
      if (e.call == Call::create) now[e.name] = e.file;
      if (e.call == Call::rename) now[e.to] = now[e.name], now.erase(e.name);
      if (!holds(i)) continue;
      if (e.call == Call::create) names[e.name] = e.file;
      if (e.call == Call::rename) names[e.to] = now[e.to], names.erase(e.name);
      if (e.call == Call::remove) names.erase(e.name);
    }
    std::map<std::string, std::string> files;
    for (const auto& [name, file] : names) files[name] = contents[file];
    return files;
  }

 private:
  // Whether a later call has written to the disk what call `i` changed.
  bool synced(std::size_t i) const {
    if (!with_syncs_) return false;
    for (std::size_t j = i + 1; j < calls_; ++j)
      if (trace[i].call == Call::write
              ? trace[j].call == Call::sync && trace[j].file == trace[i].file
              : trace[j].call == Call::sync_names)
        return true;
    return false;
  }
  bool holds(std::size_t i) {
    if (synced(i)) return true;
    switch (kept_) {
      case Kept::nothing:
        return false;
      case Kept::all:
        return true;
      case Kept::some:
        return random_() % 2;
      default:
        return (trace[i].call == Call::write) == (kept_ == Kept::contents);
    }
  }
  void put(std::string& file, const Event& e, bool last) {
    const std::size_t n =
        last && kept_ == Kept::some ? random_() % (e.bytes.size() + 1) : e.bytes.size();
    if (file.size() < e.place + n) file.resize(e.place + n);
    file.replace(e.place, n, e.bytes, 0, n);
  }

  std::size_t calls_;
  bool with_syncs_;
  Kept kept_;
  std::mt19937_64& random_;
};

// Empty if the checkpoint there is one of those that were saved, and as new as it must be.
std::string wrong(const std::map<std::string, std::string>& files, std::int64_t safe,
                  const std::map<std::int64_t, std::string>& right) {
  const auto at = files.find("run");
  if (at == files.end()) return safe > 0 ? "there is no checkpoint" : "";
  const Scratch scratch;
  for (const auto& [name, bytes] : files) write_bytes(scratch / name, bytes);
  Run run;
  try {
    run.checkpoint.load(scratch / "run");
  } catch (const ag::Error& e) {
    return e.what();
  }
  if (run.checkpoint.epoch < safe) return fmt::format("epoch {} is back", run.checkpoint.epoch);
  if (run.bytes() != right.at(run.checkpoint.epoch)) return "other values";
  run.checkpoint.save(scratch / "run");
  return scratch.entries() == 1 ? "" : "a file stays after the next save";
}

struct Count {
  std::size_t cuts = 0, lost = 0;
};
Count cut_everywhere(const std::map<std::int64_t, std::string>& right, bool with_syncs,
                     std::int64_t subsets, std::mt19937_64& random) {
  Count count;
  std::int64_t safe = 0;
  for (std::size_t calls = 0; calls <= trace.size(); ++calls) {
    if (calls > 0 && trace[calls - 1].call == Call::returned) safe = trace[calls - 1].epoch;
    std::vector<Kept> ways{Kept::nothing, Kept::all, Kept::names, Kept::contents};
    ways.insert(ways.end(), static_cast<std::size_t>(subsets), Kept::some);
    for (const Kept kept : ways) {
      ++count.cuts;
      const std::string said = wrong(Disk(calls, with_syncs, kept, random).files(), safe, right);
      if (said.empty()) continue;
      ++count.lost;
      if (with_syncs)
        fmt::print(stderr, "after call {}, way {}: {}\n", calls, static_cast<int>(kept), said);
    }
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) try {
  const Scratch scratch;
  const auto right = record(scratch.path(), argc > 1 ? std::atoll(argv[1]) : 3);
  const std::int64_t subsets = argc > 2 ? std::atoll(argv[2]) : 5;
  std::mt19937_64 random(argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
  const Count synced = cut_everywhere(right, true, subsets, random),
              unsynced = cut_everywhere(right, false, subsets, random);
  fmt::print("{} calls, the power fails {} times, {} checkpoints lost; {} without the syncs\n",
             trace.size(), synced.cuts, synced.lost, unsynced.lost);
  return synced.lost == 0 && unsynced.lost > 0 ? 0 : 1;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
