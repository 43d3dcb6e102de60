#include "tests/nn/fuzz/fuzz.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string_view>
#include <typeinfo>

#include "autograd/core/errors.hpp"
#include "autograd/core/memory.hpp"
#include "tests/nn/scratch.hpp"

namespace fuzz {
namespace {

using std::literals::operator""sv;

class Mutator {
 public:
  Mutator(const std::vector<std::string>& files, std::uint64_t seed)
      : files_(files), engine_(seed) {}

  std::string run() { return run(files_[below(files_.size())]); }
  std::string run(std::string file) {
    const bool packed = file.starts_with("\x1f\x8b");
    // Damage behind the check sum of gzip is damage that its reader sees.
    const bool inside = packed && below(4) > 0;
    if (inside) file = unpacked(file);
    for (std::size_t n = 1 + below(4); n > 0; --n) mutate(file);
    return inside ? gzipped(file) : file;
  }

 private:
  // The standard distributions differ between libraries.
  std::size_t below(std::size_t n) { return n == 0 ? 0 : engine_() % n; }
  template <class List>
  const auto& one_of(const List& list) {
    return list[below(std::size(list))];
  }

  void mutate(std::string& s) {
    const std::size_t at = below(s.size() + 1),
                      n = std::min(1 + below(1 + below(64)), s.size() - at);
    switch (below(10)) {
      case 0:
        if (n > 0) s[at] = static_cast<char>(s[at] ^ (1 << below(8)));
        break;
      case 1:
        if (n > 0) s[at] = one_of("\0\xff{}[]\":,;\n\r\t -+.eE#'0189\\\x80\x1f"sv);
        break;
      case 2:
        s.resize(at);
        break;
      case 3:
        s.erase(at, n);
        break;
      case 4:
        s.insert(at, s.substr(at, n));
        break;
      case 5:
        for (std::size_t k = 1 + below(8); k > 0; --k)
          s.insert(at, 1, static_cast<char>(below(256)));
        break;
      case 6:
        integer(s, at);
        break;
      case 7:
        number(s, at);
        break;
      case 8: {
        const std::string& other = one_of(files_);
        const std::size_t from = below(other.size());
        s = s.substr(0, at) + other.substr(from, below(2) ? n : other.npos);
        break;
      }
      default: {
        const std::size_t to = below(s.size() - n + 1);
        const std::string piece = s.substr(at, n);
        s.erase(at, n).insert(to, piece);
      }
    }
  }

  // A binary number at the borders of its type, in either order of its bytes.
  void integer(std::string& s, std::size_t at) {
    constexpr std::uint64_t kNumbers[] = {0,           1,           0x7f,       0xff,
                                          0x7fff'ffff, 0xffff'ffff, 1ull << 40, (1ull << 62) / 8,
                                          1ull << 62,  ~0ull >> 1,  ~0ull};
    const std::uint64_t value = one_of(kNumbers) + below(3) - 1;
    const std::size_t width = std::size_t{1} << below(4);
    const bool big_endian = below(2);
    for (std::size_t i = 0; i < width && at + i < s.size(); ++i)
      s[at + i] = static_cast<char>(value >> 8 * (big_endian ? width - 1 - i : i));
  }

  // Digits from `at` on replaced by another number.
  void number(std::string& s, std::size_t at) {
    const auto digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
    const auto begin = std::find_if(s.begin() + static_cast<std::ptrdiff_t>(at), s.end(), digit);
    constexpr const char* kNumbers[] = {
        "",    "0",     "-1",   "00",  "4294967296", "9223372036854775807",
        "1e9", "1e999", "-0.0", "nan", "inf",        "18446744073709551616"};
    s.replace(begin, std::find_if_not(begin, s.end(), digit), one_of(kNumbers));
  }

  static std::string unpacked(const std::string& packed) {
    z_stream z{};
    inflateInit2(&z, 16 + MAX_WBITS);
    std::string out(std::size_t{1} << 20, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    z.avail_in = static_cast<uInt>(packed.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    inflate(&z, Z_FINISH);
    out.resize(z.total_out);
    inflateEnd(&z);
    return out;
  }

  const std::vector<std::string>& files_;
  std::mt19937_64 engine_;
};

}  // namespace

std::string gzipped(const std::string& bytes) {
  z_stream z{};
  deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, bytes.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string mutated(const Target& target, std::uint64_t seed, std::uint64_t number) {
  return Mutator(target.files, seed * 0x9E37'79B9'7F4A'7C15 + number).run();
}

std::string damaged(const Target& target, std::string file, std::uint64_t seed) {
  return Mutator(target.files, seed).run(std::move(file));
}

// Small files need little, whatever they say of themselves.
constexpr std::int64_t kMostMemory = std::int64_t{16} << 20;

bool taken(const Target& target, const std::string& path, std::uint64_t choice) {
  autograd::reset_peak_memory();
  const std::int64_t before = autograd::memory_stats().in_use;
  bool is_taken = true;
  try {
    target.read(path, choice);
  } catch (const autograd::Error&) {
    is_taken = false;
  } catch (const std::exception& e) {
    throw std::runtime_error(fmt::format("{}: {}", typeid(e).name(), e.what()));
  }
  if (const auto bytes = autograd::memory_stats().peak - before; bytes > kMostMemory)
    throw std::runtime_error(fmt::format("takes {} bytes of memory", bytes));
  return is_taken;
}

Count run(const Target& target, std::uint64_t seed, std::uint64_t from, std::uint64_t to,
          const std::string& path) {
  Count count;
  for (std::uint64_t i = from; i < to; ++i) {
    std::filesystem::remove(path);  // a file that is written anew would be flushed to the disk
    write_bytes(path, mutated(target, seed, i));
    try {
      ++(taken(target, path, i) ? count.taken : count.refused);
    } catch (const std::exception& e) {
      throw std::runtime_error(
          fmt::format("{}: file {} of seed {}: {}", target.reader, i, seed, e.what()));
    }
  }
  return count;
}

}  // namespace fuzz
