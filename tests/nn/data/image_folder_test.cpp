#include "nn/data/images/image_folder.hpp"

#include <filesystem>

#include "autograd/ops/ops.hpp"
#include "nn/data/dataloader.hpp"
#include "nn/data/images/normalize.hpp"
#include "nn/data/images/resample.hpp"
#include "nn/data/subset.hpp"
#include "tests/catch.hpp"
#include "tests/nn/data/pictures.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;
using Catch::Matchers::StartsWith;

namespace {

// Eight pictures of 6 x 6 pixels in two classes, one of them a directory further down.
struct Photos {
  Scratch dir;
  Photos() {
    for (const char* name : {"owl", "cat", "cat/old", ".git", "owl/.cache"})
      std::filesystem::create_directory(dir / name);
    for (int i = 0; i < 4; ++i) {
      const Tensor x = ag::full({3, 6, 6}, i / 255.0, ag::float32);
      data::write_png(dir / ("owl/" + std::to_string(i) + ".PNG"), x);
      data::write_png(dir / ((i < 2 ? "cat/" : "cat/old/") + std::to_string(i) + ".png"), x);
    }
    write_bytes(dir / "cat/notes.txt", "no picture");
    write_bytes(dir / "owl/.hidden.png", "no picture");
    write_bytes(dir / "owl/.cache/x.png", "no picture");
  }
};

}  // namespace

TEST_CASE_METHOD(Photos, "directories are classes, in the order of their names") {
  const data::ImageFolder photos(dir.path());
  CHECK(photos.classes() == std::vector<std::string>{"cat", "owl"});
  CHECK(photos.size() == 8);
  CHECK(photos.labels().to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{0, 0, 0, 0, 1, 1, 1, 1});
  CHECK(photos.path(2) == dir / "cat/old/2.png");
  CHECK(photos.label(7) == 1);
  ag::Generator g;
  const data::Batch sample = photos.get(7, g);
  CHECK(sample.x.shape() == ag::Shape(3, 6, 6));
  CHECK(sample.x.data<float>()[0] == 3 / 255.0f);
  CHECK(sample.y.item<std::int64_t>() == 1);
  CHECK_THROWS_WITH(photos.path(8), Equals("ImageFolder: indices must be in [0, 8), got 8"));
}

TEST_CASE_METHOD(Photos, "pictures are read by the threads of a loader, in its order",
                 "[threads]") {
  const auto crop = [](const Tensor& x, ag::Generator& g) { return data::random_crop(x, 4, g); };
  const data::ImageFolder photos(dir.path(), {.transform = crop});
  const auto pixels = [&](std::int64_t workers) {
    data::DataLoader loader(photos,
                            {.batch_size = 3, .shuffle = true, .seed = 2, .workers = workers});
    std::vector<float> all;
    for (const auto& [x, y] : loader) {
      CHECK(x.shape() == ag::Shape(y.size(0), 3, 4, 4));
      for (std::int64_t i = 0; i < x.size(0); ++i) all.push_back(x[i].data<float>()[0]);
    }
    return all;
  };
  const auto alone = pixels(0);
  CHECK(alone.size() == 8);
  CHECK(pixels(3) == alone);
}

TEST_CASE_METHOD(Photos, "a transform of the loader gets a batch of pictures") {
  data::DataLoader loader(data::ImageFolder(dir.path()),
                          {.batch_size = 8, .transform = [](data::Batch batch, ag::Generator& g) {
                             batch.x = data::random_horizontal_flip(data::resize(batch.x, 3), g);
                             return batch;
                           }});
  for (const auto& [x, y] : loader) CHECK(x.shape() == ag::Shape(8, 3, 3, 3));
  const auto [some, rest] = data::split(data::ImageFolder(dir.path()), {0.5, 0.5}, 1);
  CHECK((some.size() == 4 && rest.size() == 4));
}

TEST_CASE_METHOD(Photos, "an error in a worker arrives in the loop with the name of the file",
                 "[threads]") {
  write_bytes(dir / "owl/2.PNG", "no picture");
  data::DataLoader loader(data::ImageFolder(dir.path()), {.batch_size = 2, .workers = 2});
  std::int64_t seen = 0;
  CHECK_THROWS_WITH(
      [&] {
        for (const auto& [x, y] : loader) seen += x.size(0);
      }(),
      StartsWith(dir / "owl/2.PNG: must be a PNG or JPEG file, got"));
  CHECK(seen == 6);
}

TEST_CASE_METHOD(Photos, "an error of the transform names the file") {
  const data::ImageFolder photos(dir.path(), {.transform = [](const Tensor& x, ag::Generator& g) {
                                   return data::random_crop(x, 7, g);
                                 }});
  ag::Generator g;
  CHECK_THROWS_WITH(photos.get(0, g),
                    Equals(dir / "cat/0.png: random_crop: images must be at least as large as the "
                                 "part, 7 x 7, got 6 x 6; pad or resize them"));
}

TEST_CASE_METHOD(Photos, "pictures of several sizes need a transform to make a batch") {
  data::write_png(dir / "cat/0.png", ag::ones({3, 5, 6}));
  data::DataLoader loader(data::ImageFolder(dir.path()), {.batch_size = 2});
  CHECK_THROWS_WITH(
      [&] {
        for (const auto& batch : loader) (void)batch;
      }(),
      ContainsSubstring("samples must have one shape and dtype to make a batch") &&
          ContainsSubstring("; resize, crop or pad them"));
}

TEST_CASE_METHOD(Photos, "a transform of a picture that gives no tensor is refused") {
  const data::ImageFolder photos(
      dir.path(), {.transform = [](const ag::Tensor&, ag::Generator&) { return ag::Tensor(); }});
  ag::Generator generator;
  CHECK_THROWS_WITH(photos.get(0, generator),
                    ContainsSubstring("transform must give an image, got an undefined tensor"));
}

TEST_CASE_METHOD(Photos, "figures of channels are taken from a loader, a batch at a time") {
  data::DataLoader loader(data::ImageFolder(dir.path()), {.batch_size = 3});
  const auto normalize = data::Normalize::fit(loader);
  for (int c = 0; c < 3; ++c) {
    CHECK(normalize.mean.to_vector<double>()[static_cast<std::size_t>(c)] ==
          Catch::Approx(1.5 / 255));
    CHECK(normalize.scale.to_vector<double>()[static_cast<std::size_t>(c)] ==
          Catch::Approx(std::sqrt(1.25) / 255));
  }
}

TEST_CASE("class directories without pictures are refused") {
  const Scratch dir;
  CHECK_THROWS_WITH(data::ImageFolder(dir / "none"),
                    Equals(dir / "none: must be a readable directory, got: No such file or "
                                 "directory"));
  CHECK_THROWS_WITH(data::ImageFolder(dir.path()),
                    Equals(dir.path() + ": must hold a directory for each class, got none"));
  std::filesystem::create_directory(dir / "cat");
  write_bytes(dir / "cat/readme", "");
  CHECK_THROWS_WITH(data::ImageFolder(dir.path()),
                    Equals(dir / "cat: a class must hold a picture (.png, .jpg, .jpeg), got none"));
}
