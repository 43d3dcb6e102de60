#include <memory>
#include <stdexcept>

#include "autograd/ops/ops.hpp"
#include "nn/io/npy.hpp"
#include "nn/io/safetensors_file.hpp"
#include "nn/io/torch.hpp"
#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/io/fixture.hpp"
#include "tests/nn/io/stored_zip.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;

namespace fuzz {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 20;

void touch(const ag::Tensor& t) {
  std::size_t sum = 0;
  const auto* bytes = static_cast<const unsigned char*>(t.raw());
  for (std::size_t i = 0; i < static_cast<std::size_t>(t.numel()) * ag::size_of(t.dtype()); ++i)
    sum += bytes[i];
  if (sum == ~std::size_t{0}) throw std::logic_error("a sum of bytes");
}
void touch(const nn::StateDict& state) {
  for (const auto& [name, tensor] : state) touch(tensor);
}

std::vector<std::string> fixtures(const std::vector<std::string>& names) {
  std::vector<std::string> files;
  for (const auto& name : names) files.push_back(read_bytes(fixture(name)));
  return files;
}

// Archives of PyTorch's that are nothing but a pickle and a storage, so that most damage hits the
// pickle, and no check sum: the pickle itself is what is damaged.
Target pickles() {
  const auto wrapped = [](const std::string& pickle) {
    return stored_zip({{"a/data.pkl", pickle}, {"a/data/0", std::string(96, '\1')}});
  };
  std::vector<std::string> files;
  for (const char* name : {"tensor.pt"}) {
    const std::string bytes = read_bytes(fixture(name));
    const auto begin = bytes.find("\x80\x02");
    files.push_back(bytes.substr(begin, bytes.find("PK", begin) - begin));
  }
  return {"load_torch", files, [wrapped](const std::string& path, std::uint64_t choice) {
            if (const std::string bytes = read_bytes(path); !bytes.starts_with("PK"))
              write_bytes(path, wrapped(bytes));
            const std::string key = choice % 7 ? "" : "w";
            touch(nn::load_torch(path, {.key = key, .max_unpacked = kMost}));
          }};
}

// The mutated file alone, or as the index of two others.
Target safetensors_parts() {
  const auto scratch = std::make_shared<Scratch>();
  nn::write_safetensors(*scratch / "1.safetensors", {{"a", ag::ones({2, 3})}});
  nn::write_safetensors(*scratch / "2.safetensors", {{"b", ag::tensor({true, false})}});
  const std::string index =
      R"({"metadata":{"total_size":26},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})";
  return {"SafeTensorsFile",
          {read_bytes(*scratch / "1.safetensors"), read_bytes(*scratch / "2.safetensors"), index},
          [scratch](const std::string& path, std::uint64_t choice) {
            const std::string bytes = read_bytes(path), json = *scratch / "m.index.json";
            if (bytes.starts_with('{')) write_bytes(json, bytes);
            const nn::SafeTensorsFile file(bytes.starts_with('{') ? json : path);
            for (const auto& [name, dtype, shape] : file.tensors()) {
              touch(choice % 2 ? file.map(name) : file.read(name));
              if (shape.ndim() > 0) touch(file.read_rows(name, 0, shape[0] / 2));
            }
          }};
}

}  // namespace

std::vector<Target> exchange_targets() {
  return {
      {"load_npy",
       fixtures({"version1.npy", "version3.npy", "half.npy", "scalar.npy", "xgrad.npy"}),
       [](const std::string& path, std::uint64_t) { touch(nn::load_npy(path)); }},
      {"load_npz", fixtures({"deflated.npz", "stream.npz", "zip64.npz", "xgrad.npz"}),
       [](const std::string& path, std::uint64_t choice) {
         nn::LoadNpzOptions options{.max_unpacked = kMost};
         if (choice % 5 == 0) options.names = {"grid"};
         touch(nn::load_npz(path, options));
       }},
      pickles(),
      safetensors_parts(),
      {"read_torch", fixtures({"model.pt", "list.pt", "views.pt", "xgrad.pt"}),
       [](const std::string& path, std::uint64_t) {
         const nn::TorchFile file = nn::read_torch(path, {.max_unpacked = kMost});
         touch(file.tensors);
         touch(file.numbers);
       }},
  };
}

const Family exchange_readers(exchange_targets);

}  // namespace fuzz
