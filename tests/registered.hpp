#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

/// A table that its files fill, so that a new file needs no line in another. A variable of a file,
///
///     const Registered<Add> here(add);
///
/// puts `add` into the table of this kind. The files stand in the order of their names, whatever the
/// linker does. Their objects must be linked as such, not out of an archive, which leaves out what
/// nobody calls.
template <class Entry>
class Registered {
 public:
  explicit Registered(Entry entry, const char* file = __builtin_FILE()) {
    const std::string path = file;
    list()[path.substr(path.rfind("tests/") + 6)].push_back(std::move(entry));
  }

  /// By the file below tests/; those of one file in the order in which they stand there.
  static const std::map<std::string, std::vector<Entry>>& all() { return list(); }

 private:
  static std::map<std::string, std::vector<Entry>>& list() {
    static std::map<std::string, std::vector<Entry>> entries;
    return entries;
  }
};
