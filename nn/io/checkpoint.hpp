#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/random.hpp"
#include "nn/io/safetensors.hpp"
#include "nn/io/save.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Something with a state to save: an optimizer, a scheduler, a data loader, or a class of the
/// user's.
template <class T>
concept Stateful = requires(T& t, const StateDict& state) {
  { t.state_dict() } -> std::convertible_to<StateDict>;
  t.load_state_dict(state);
};

/// All that a training run is, in one file, so that a resumed run ends with the same bits as one
/// that was never interrupted:
///
///     nn::Checkpoint checkpoint{{"model", model}, {"optimizer", optimizer}, {"lr", scheduler}};
///     if (resume) checkpoint.load("run.safetensors");
///     while (checkpoint.epoch < epochs) {
///       loader.set_epoch(checkpoint.epoch);
///       for (const auto& [x, y] : loader) ...
///       scheduler.step();
///       ++checkpoint.epoch;
///       checkpoint.save("run.safetensors");
///     }
///
/// The default generator of the calling thread is always part of it.
class Checkpoint {
 public:
  /// A named part, held by reference: a module, a `Generator`, or anything `Stateful`.
  class Part {
   public:
    Part(std::string name, Module& model);
    Part(std::string name, ag::Generator& generator);
    template <Stateful T>
    requires(!std::derived_from<T, Module>) Part(std::string name, T& object)
        : name_(std::move(name)),
          save_([&object] { return StateDict(object.state_dict()); }),
          load_([&object](const StateDict& state) { object.load_state_dict(state); }) {
      if constexpr (requires { object.own_state_dict(), object.takes(name_); }) {
        own_ = [&object] { return StateDict(object.own_state_dict()); };
        takes_ = [&object](std::string_view entry) { return object.takes(entry); };
      }
    }

   private:
    friend class Checkpoint;
    std::string name_;
    std::function<StateDict()> save_;
    std::function<void(const StateDict&)> load_;
    // Of what several processes have parts of: this one's, and which entries of the whole it takes.
    std::function<StateDict()> own_ = save_;
    std::function<bool(std::string_view)> takes_ = [](std::string_view) { return true; };
  };

  /// Throws if a name appears twice, is empty or contains a dot. The parts must outlive the
  /// checkpoint.
  Checkpoint(std::initializer_list<Part> parts);

  std::int64_t epoch = 0, step = 0;            ///< the position, counted by the caller
  std::map<std::string, double> numbers;       ///< anything else to keep, such as the best accuracy
  std::map<std::string, std::string> strings;  ///< the same for text
  /// What the run was started with and must go on with, such as {"--lr", "0.001"}. `load()` throws,
  /// with the name, unless the saved ones are the same.
  std::map<std::string, std::string> options;

  /// Writes one safetensors file; an older one stays whole until it is complete. Tensors are named
  /// by part, such as "model.fc1.weight". Throws as `write_safetensors`.
  void save(const std::string& path) const;
  /// Restores the parts, the default generator, the position and the extra values. Throws, and
  /// changes nothing, if the file is damaged, no checkpoint, or not of these very parts and
  /// options.
  void load(const std::string& path);

 protected:
  /// Throws as the constructor.
  void add(Part part);
  struct Contents {
    StateDict tensors;  ///< which share their elements with the parts
    Metadata metadata;
  };
  /// What `save()` writes.
  Contents contents() const;

 private:
  std::vector<Part> all_parts() const;
  static SafeTensors taken_of(const std::string& path, const std::vector<Part>& parts);
  std::vector<Part> parts_;
};

}  // namespace nn

#pragma GCC visibility pop
