#include "nn/io/checkpoint.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <set>

#include "autograd/core/errors.hpp"
#include "nn/io/safetensors_file.hpp"
#include "nn/module/state_reader.hpp"

namespace nn {
namespace {

constexpr auto kFormat = "xgrad.checkpoint.1";
constexpr auto kDefaultGenerator = "default_generator";
constexpr auto kNumber = "number";  // entries "number.NAME"; the position is "epoch" and "step"
constexpr auto kString = "string.";
constexpr auto kOption = "option.";

StateDict generator_state(const ag::Generator& generator) {
  const auto [seed, position] = generator.state();
  return {{"state",
           ag::tensor({std::bit_cast<std::int64_t>(seed), std::bit_cast<std::int64_t>(position)})}};
}

void load_generator(ag::Generator& generator, const StateDict& state) {
  StateReader reader("Generator", state);
  const auto* words = reader.tensor("state", {2}, ag::int64).data<std::int64_t>();
  reader.finish();
  generator.set_state(
      {std::bit_cast<std::uint64_t>(words[0]), std::bit_cast<std::uint64_t>(words[1])});
}

// The entries of one part, without its name.
StateDict entries_of(const std::string& part, const StateDict& all) {
  StateDict state;
  for (const auto& [name, tensor] : all)
    if (name.starts_with(part + '.')) state.push_back({name.substr(part.size() + 1), tensor});
  return state;
}

// The metadata whose keys begin with the prefix, without it.
Metadata with_prefix(std::string_view prefix, const Metadata& metadata) {
  Metadata found;
  for (const auto& [key, text] : metadata)
    if (key.starts_with(prefix)) found[key.substr(prefix.size())] = text;
  return found;
}

void check_options(const std::string& path, const Metadata& own, const Metadata& saved) {
  const auto value = [](const Metadata& options, const std::string& name) {
    const auto found = options.find(name);
    return found == options.end() ? "none" : found->second;
  };
  Metadata all = own;
  all.insert(saved.begin(), saved.end());
  for (const auto& [name, ignored] : all)
    if (value(own, name) != value(saved, name))
      ag::fail(path, "{} must be {} as in the saved run, got {}", name, value(saved, name),
               value(own, name));
}

StateDict copies(StateDict state) {
  for (auto& entry : state) entry.tensor = entry.tensor.detach().clone();
  return state;
}

}  // namespace

Checkpoint::Part::Part(std::string name, Module& model)
    : name_(std::move(name)),
      save_([&model, part = name_] {
        StateDict state = model.state_dict();
        if (state.empty())
          ag::fail("Checkpoint",
                   "'{}' must have a parameter or buffer to save, got a {} without one", part,
                   model.type_name());
        return state;
      }),
      load_([&model](const StateDict& state) { nn::load(model, state); }) {}

Checkpoint::Part::Part(std::string name, ag::Generator& generator)
    : name_(std::move(name)),
      save_([&generator] { return generator_state(generator); }),
      load_([&generator](const StateDict& state) { load_generator(generator, state); }) {}

Checkpoint::Checkpoint(std::initializer_list<Part> parts) {
  for (const Part& part : parts) add(part);
}

void Checkpoint::add(Part part) {
  std::set<std::string> taken{"epoch", "step", kNumber, kDefaultGenerator};
  for (const Part& p : parts_) taken.insert(p.name_);
  if (part.name_.empty() || part.name_.find_first_of(".,") != std::string::npos ||
      taken.contains(part.name_))
    ag::fail("Checkpoint",
             "names must be unique, without dots and commas, and not epoch, step, number or {}, "
             "got '{}'",
             kDefaultGenerator, part.name_);
  parts_.push_back(std::move(part));
}

// With the default generator of the thread that asks.
std::vector<Checkpoint::Part> Checkpoint::all_parts() const {
  std::vector<Part> all = parts_;
  all.emplace_back(kDefaultGenerator, ag::default_generator());
  return all;
}

Checkpoint::Contents Checkpoint::contents() const {
  StateDict all{named_scalar("epoch", epoch), named_scalar("step", step)};
  std::vector<std::string> names;
  for (const auto& part : all_parts()) {
    names.push_back(part.name_);
    for (auto& [name, tensor] : part.save_()) all.push_back({part.name_ + '.' + name, tensor});
  }
  for (const auto& [name, value] : numbers)
    all.push_back(named_scalar(fmt::format("{}.{}", kNumber, name), value));
  Metadata metadata{{"format", kFormat}, {"parts", fmt::format("{}", fmt::join(names, ", "))}};
  for (const auto& [name, text] : strings) metadata[kString + name] = text;
  for (const auto& [name, text] : options) metadata[kOption + name] = text;
  return {std::move(all), std::move(metadata)};
}

void Checkpoint::save(const std::string& path) const {
  const auto [tensors, metadata] = contents();
  write_safetensors(path, tensors, metadata);
}

// Entries that a part does not take stay undefined.
SafeTensors Checkpoint::taken_of(const std::string& path, const std::vector<Part>& parts) {
  const SafeTensorsFile file(path);
  SafeTensors all{{}, file.metadata()};
  for (const auto& info : file.tensors()) {
    const std::string_view name = info.name, part = name.substr(0, name.find('.'));
    const auto of =
        std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.name_ == part; });
    const bool taken =
        of == parts.end() || name == part || of->takes_(name.substr(part.size() + 1));
    all.tensors.push_back({info.name, taken ? file.read(name) : ag::Tensor()});
  }
  return all;
}

void Checkpoint::load(const std::string& path) {
  const std::vector<Part> all = all_parts();
  const auto [tensors, metadata] = taken_of(path, all);
  const auto format = metadata.find("format");
  if (format == metadata.end() || format->second != kFormat)
    ag::fail(path, "must be a checkpoint, got {}; nn::load reads the weights of a model",
             format == metadata.end() ? "a file without a format"
                                      : "the format '" + format->second + "'");
  std::vector<std::string> names;
  for (const auto& part : all) names.push_back(part.name_);
  const std::string own = fmt::format("{}", fmt::join(names, ", "));
  if (const auto saved = metadata.find("parts"); saved == metadata.end() || saved->second != own)
    ag::fail(path, "must hold the parts {}, got {}", own,
             saved == metadata.end() ? "none" : saved->second);

  check_options(path, options, with_prefix(kOption, metadata));

  std::vector<StateDict> before;
  std::size_t touched = 0;
  try {
    StateReader reader("Checkpoint", tensors);
    const auto saved_epoch = reader.integer("epoch"), saved_step = reader.integer("step");
    std::map<std::string, double> saved_numbers;
    for (const auto& [name, tensor] : entries_of(kNumber, tensors))
      saved_numbers[name] = reader.number(fmt::format("{}.{}", kNumber, name));
    for (const auto& part : all) {
      before.push_back(copies(part.own_()));
      ++touched;
      part.load_(entries_of(part.name_, tensors));
    }
    epoch = saved_epoch;
    step = saved_step;
    numbers = std::move(saved_numbers);
  } catch (const std::exception& e) {
    while (touched-- > 0) all[touched].load_(before[touched]);
    throw ag::Error(path + ": " + e.what());
  }
  strings = with_prefix(kString, metadata);
}

}  // namespace nn
