#pragma once

#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)

namespace nn {
class Module;
}

namespace nn::detail {

enum class BeaconKind : std::uintptr_t {
  module = 0x9D6F'3A51'C2E8'7B05,
  tensor = 0xB417'E8D3'560C'9A2F,
  holder = 0xE35A'0C96'7F1D'48B3
};

/// Marks where an object lives by a word that is a function of its own address, so that the object
/// is found among the bytes of one around it. No registry: it costs one store.
template <BeaconKind K>
class Beacon {
 public:
  Beacon() noexcept { light(); }
  Beacon(const Beacon&) noexcept { light(); }
  Beacon& operator=(const Beacon&) noexcept { return *this; }
  ~Beacon() { word_ = 0; }
  static bool is_at(const void* place, std::uintptr_t word) noexcept {
    return word == (reinterpret_cast<std::uintptr_t>(place) ^ static_cast<std::uintptr_t>(K));
  }

 private:
  void light() noexcept {
    word_ = reinterpret_cast<std::uintptr_t>(this) ^ static_cast<std::uintptr_t>(K);
  }
  volatile std::uintptr_t word_;  // a store at the end of a life would be left out otherwise
};

/// The bytes of an object.
struct Extent {
  const void* begin = nullptr;
  std::size_t size = 0;
};

/// Throws if a module, parameter or buffer lives inside `module`, or inside one of its modules,
/// that no NN_MODULE line names. Looks at each object once.
void check_complete(const Module& module);

/// A member that is left out on purpose (`nn::unnamed`).
struct LeftOut {
  Extent extent;
};

}  // namespace nn::detail

namespace nn {

/// In a line of NN_MODULE: a member with modules or parameters that are deliberately no part of the
/// model, neither trained, saved, converted nor switched: `NN_MODULE(student,
/// nn::unnamed(teacher))`.
template <class T>
detail::LeftOut unnamed(const T& member) noexcept {
  return {{&member, sizeof(T)}};
}

}  // namespace nn

#pragma GCC visibility pop
