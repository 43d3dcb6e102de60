#include "nn/io/npy.hpp"

#include <algorithm>
#include <deque>
#include <set>

#include "autograd/core/errors.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/io/internal/npy_header.hpp"
#include "nn/io/internal/regular_file.hpp"
#include "nn/io/internal/replacement.hpp"
#include "nn/io/internal/zip.hpp"

namespace nn {
namespace {

namespace ag = autograd;
using ag::fail;
using detail::ZipReader;

// Elements in Fortran's order are those of the transposed array.
ag::Tensor in_c_order(const ag::Tensor& reversed) {
  ag::Axes axes;
  for (std::int64_t i = reversed.ndim(); i > 0; --i) axes.push_back(i - 1);
  const ag::NoGrad no_grad;
  return ag::permute(reversed, axes);
}

ag::Tensor read_array(const std::string& path, const std::string& prefix, std::uint64_t bytes,
                      const detail::ByteSource& source) {
  const auto header = detail::read_npy_header(path, prefix, source, bytes);
  ag::Shape shape = header.shape;
  if (header.fortran_order) std::reverse(shape.begin(), shape.end());
  const ag::Tensor array =
      detail::read_elements(path, prefix, *header.format, shape, header.big_endian, source);
  return header.fortran_order && shape.ndim() > 1 ? in_c_order(array) : array;
}

ag::Tensor read_entry(ZipReader& zip, const ZipReader::Entry& entry) {
  zip.open(entry);
  return read_array(zip.path(), "'" + entry.name + "': ", entry.size,
                    [&](void* out, std::uint64_t n) { zip.read(out, n); });
}

std::string_view bytes_of(const ag::Tensor& t) {
  return {static_cast<const char*>(t.raw()),
          static_cast<std::size_t>(t.numel()) * ag::size_of(t.dtype())};
}

}  // namespace

ag::Tensor load_npy(const std::string& path) {
  const detail::RegularFile file(path);
  std::uint64_t at = 0;
  return read_array(path, "", file.size(), [&](void* out, std::uint64_t n) {
    file.read(out, n, at);
    at += n;
  });
}

void save_npy(const ag::Tensor& array, const std::string& path) {
  const std::string header = detail::npy_header(path, array);
  detail::Replacement file(path);
  file.write(header);
  file.write(bytes_of(array));
  file.commit();
}

StateDict load_npz(const std::string& path, const LoadNpzOptions& options) {
  constexpr std::string_view kEnding = ".npy";
  ZipReader zip(path, options.max_unpacked);
  StateDict arrays;
  for (const auto& name : options.names) {
    const auto* entry = zip.find(name + std::string(kEnding));
    if (!entry) fail(path, "must hold an array '{}', got none of that name", name);
    arrays.push_back({name, read_entry(zip, *entry)});
  }
  if (!options.names.empty()) return arrays;
  for (const auto& entry : zip.entries()) {
    if (!entry.name.ends_with(kEnding))
      fail(path, "must hold npy arrays alone, got '{}'; the option names reads some of them",
           entry.name);
    arrays.push_back(
        {entry.name.substr(0, entry.name.size() - kEnding.size()), read_entry(zip, entry)});
  }
  return arrays;
}

void save_npz(const StateDict& arrays, const std::string& path, const SaveNpzOptions& options) {
  std::set<std::string_view> names;
  for (const auto& [name, array] : arrays) {
    if (!array.defined()) fail(path, "arrays must be defined, got an undefined '{}'", name);
    if (!names.insert(name).second) fail(path, "names must be unique, got '{}' twice", name);
  }
  if (arrays.empty()) fail(path, "arrays must be there to be saved, got none");
  detail::ZipWriter zip(path);
  std::deque<std::string> headers;
  for (const auto& [name, array] : arrays)
    zip.add(name + ".npy", {headers.emplace_back(detail::npy_header(path, array)), bytes_of(array)},
            options.compressed);
  zip.commit();
}

}  // namespace nn
