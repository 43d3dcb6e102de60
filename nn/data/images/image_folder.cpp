#include "nn/data/images/image_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "autograd/ops/ops.hpp"
#include "nn/io/files.hpp"

namespace nn::data {

using autograd::fail;

namespace {

namespace fs = std::filesystem;

bool is_picture(const fs::path& path) {
  std::string ending = path.extension().string();
  // Names have no locale.
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

[[noreturn]] void refuse(const fs::path& directory, const std::error_code& error) {
  fail(directory.string(), "must be a readable directory, got: {}", error.message());
}

std::vector<std::string> class_names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code unknown;
    if (!is_hidden(entry->path()) && entry->is_directory(unknown))
      names.push_back(entry->path().filename().string());
  }
  if (error) refuse(directory, error);
  if (names.empty()) fail(directory, "must hold a directory for each class, got none");
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> pictures_in(const fs::path& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  fs::recursive_directory_iterator entry(directory, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code unknown;
    if (is_hidden(entry->path()))
      entry.disable_recursion_pending();
    else if (is_picture(entry->path()) && !entry->is_directory(unknown))
      paths.push_back(entry->path().string());
  }
  if (error) refuse(directory, error);
  if (paths.empty())
    fail(directory.string(), "a class must hold a picture (.png, .jpg, .jpeg), got none");
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

ImageFolder::ImageFolder(const std::string& directory, ImageFolderOptions options)
    : options_(std::move(options)) {
  nn::detail::check_path(directory);
  classes_ = class_names(directory);
  for (std::size_t i = 0; i < classes_.size(); ++i)
    for (std::string& path : pictures_in(fs::path(directory) / classes_[i]))
      files_.push_back({std::move(path), static_cast<std::int64_t>(i)});
}

const ImageFolder::File& ImageFolder::file(std::int64_t index) const {
  detail::check_indices("ImageFolder", {&index, 1}, size());
  return files_[static_cast<std::size_t>(index)];
}

const std::string& ImageFolder::path(std::int64_t index) const { return file(index).path; }
std::int64_t ImageFolder::label(std::int64_t index) const { return file(index).label; }

Batch ImageFolder::get(std::int64_t index, ag::Generator& generator) const {
  const File& f = file(index);
  ag::Tensor x = read_image(f.path, options_.image);
  try {
    if (options_.transform) x = options_.transform(x, generator);
  } catch (const ag::Error& e) {
    fail(f.path, "{}", e.what());
  }
  if (!x.defined()) fail(f.path, "transform must give an image, got an undefined tensor");
  return {x, ag::tensor(f.label)};
}

ag::Tensor ImageFolder::labels() const {
  ag::Tensor out = ag::empty({size()}, ag::int64);
  std::transform(files_.begin(), files_.end(), out.mutable_data<std::int64_t>(),
                 [](const File& f) { return f.label; });
  return out;
}

}  // namespace nn::data
