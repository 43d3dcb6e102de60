#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nn/data/dataset.hpp"
#include "nn/data/readers/image_file.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Options of `ImageFolder`.
struct ImageFolderOptions {
  ImageOptions image{.color = Color::rgb};  ///< how each file is read
  /// Applied to each image (channels, height, width), such as a resize and a crop to one size. Its
  /// generator is a function of the loader's seed, epoch and sample. With workers it runs on
  /// several threads at once.
  std::function<ag::Tensor(const ag::Tensor&, ag::Generator&)> transform{};
};

/// Pictures in directories of their classes, DIRECTORY/CLASS/….png, .jpg or .jpeg, however deep;
/// read when a loader asks for them, on its threads:
///
///     ImageFolder photos("photos", {.transform = [](const ag::Tensor& x, ag::Generator& g) {
///                                     return random_crop(resize_shorter(x, 72), 64, g);
///                                   }});
///     DataLoader loader(photos, {.batch_size = 32, .shuffle = true, .workers = 4});
///     for (const auto& [x, y] : loader) ...
///
/// Classes are numbered in the order of their names, by bytes, and files come in that order too.
/// Files of other kinds are passed over, names that begin with a dot as well; links to directories
/// are followed only where they stand for a class. Copies share nothing but the transform.
class ImageFolder {
 public:
  /// Throws if there is no directory of a class, or one without a picture.
  explicit ImageFolder(const std::string& directory, ImageFolderOptions options = {});

  std::int64_t size() const { return static_cast<std::int64_t>(files_.size()); }
  /// x: the image (channels, height, width), y: the number of its class, int64 and 0-d. An error
  /// begins with the name of the file.
  Batch get(std::int64_t index, ag::Generator& generator) const;

  const std::vector<std::string>& classes() const& { return classes_; }
  std::vector<std::string> classes() && { return std::move(classes_); }
  const std::string& path(std::int64_t index) const;
  std::int64_t label(std::int64_t index) const;
  /// All labels, int64 (n), without reading a picture.
  ag::Tensor labels() const;

 private:
  struct File {
    std::string path;
    std::int64_t label;
  };
  const File& file(std::int64_t index) const;

  ImageFolderOptions options_;
  std::vector<std::string> classes_;
  std::vector<File> files_;
};

}  // namespace nn::data

#pragma GCC visibility pop
