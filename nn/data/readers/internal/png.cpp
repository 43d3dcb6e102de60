#include "nn/data/readers/internal/codecs.hpp"

#ifdef XGRAD_HAVE_PNG
#include <png.h>

#include <bit>
#include <csetjmp>
#include <exception>
#include <vector>

#include "autograd/core/errors.hpp"

namespace nn::data::detail {
namespace {

namespace ag = autograd;

// What a call into libpng works on. An exception of ours waits in `error` for the jump.
struct Png {
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool reads;
  PictureFile* from = nullptr;
  std::string to, message;
  std::exception_ptr error;
  Pixels* pixels;
  std::vector<png_bytep> rows{};

  Png(bool read, Pixels* p) : reads(read), pixels(p) {
    png = reads ? png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, ignore)
                : png_create_write_struct(PNG_LIBPNG_VER_STRING, this, fail, ignore);
    if (png) info = png_create_info_struct(png);
  }
  ~Png() {
    if (reads)
      png_destroy_read_struct(&png, &info, nullptr);
    else
      png_destroy_write_struct(&png, &info);
  }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;

  static Png& of(png_structp png) { return *static_cast<Png*>(png_get_error_ptr(png)); }
  static void fail(png_structp png, png_const_charp text) {
    try {
      of(png).message = text;
    } catch (...) {
      of(png).error = std::current_exception();
    }
    png_longjmp(png, 1);
  }
  static void ignore(png_structp, png_const_charp) {}
  static void read(png_structp png, png_bytep out, png_size_t n) {
    Png& self = of(png);
    const char* problem = nullptr;
    try {
      if (self.from->read(out, n) < n) problem = "the end of the file";
    } catch (...) {
      self.error = std::current_exception();
      problem = "an exception";
    }
    if (problem) png_error(png, problem);
  }
  static void write(png_structp png, png_bytep bytes, png_size_t n) {
    Png& self = of(png);
    bool failed = false;
    try {
      self.to.append(reinterpret_cast<const char*>(bytes), n);
    } catch (...) {
      self.error = std::current_exception();
      failed = true;
    }
    if (failed) png_error(png, "an exception");
  }
  static void flush(png_structp) {}

  // False after an error of libpng.
  bool run(void (*step)(Png&)) {
    if (setjmp(png_jmpbuf(png))) return false;
    step(*this);
    return true;
  }
  void rows_of_pixels() {
    const auto height = static_cast<std::size_t>(pixels->info.height);
    for (std::size_t i = 0; i < height; ++i)
      rows.push_back(pixels->bytes.get() + i * pixels->row());
  }
};

// To what `Pixels` is: no palettes, no transparent colours, no bits that share a byte.
void begin_reading(Png& p) {
  png_set_read_fn(p.png, nullptr, Png::read);
  png_read_info(p.png, p.info);
  png_set_expand(p.png);
  if (std::endian::native == std::endian::little) png_set_swap(p.png);
  png_set_interlace_handling(p.png);
  png_read_update_info(p.png, p.info);
  p.pixels->info = {png_get_image_height(p.png, p.info), png_get_image_width(p.png, p.info),
                    png_get_channels(p.png, p.info), png_get_bit_depth(p.png, p.info)};
}

void read_rows(Png& p) {
  png_read_image(p.png, p.rows.data());
  png_read_end(p.png, nullptr);
}

void write_all(Png& p) {
  constexpr int kinds[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                           PNG_COLOR_TYPE_RGB_ALPHA};
  const ImageInfo& info = p.pixels->info;
  png_set_write_fn(p.png, nullptr, Png::write, Png::flush);
  png_set_IHDR(p.png, p.info, static_cast<png_uint_32>(info.width),
               static_cast<png_uint_32>(info.height), info.depth, kinds[info.channels - 1],
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(p.png, p.info);
  if (std::endian::native == std::endian::little) png_set_swap(p.png);
  png_write_image(p.png, p.rows.data());
  png_write_end(p.png, nullptr);
}

void run(const std::string& path, Png& png, void (*step)(Png&)) {
  if (!png.png || !png.info) ag::fail(path, "libpng needs some memory, got none");
  if (png.run(step)) return;
  if (png.error) std::rethrow_exception(png.error);
  ag::fail(path, "must be an intact PNG file, got \"{}\"", ag::quoted(png.message));
}

}  // namespace

Pixels read_png(PictureFile& file, std::optional<std::int64_t> max_pixels) {
  const std::string& path = file.file.path();
  Pixels pixels{};
  Png png(true, &pixels);
  png.from = &file;
  run(path, png, begin_reading);
  if (!max_pixels) return pixels;
  allocate(path, pixels, *max_pixels);
  png.rows_of_pixels();
  run(path, png, read_rows);
  return pixels;
}

std::string png_bytes(const std::string& path, Pixels& pixels) {
  Png png(false, &pixels);
  png.rows_of_pixels();
  run(path, png, write_all);
  return std::move(png.to);
}

}  // namespace nn::data::detail

#else

#include "autograd/core/errors.hpp"

namespace nn::data::detail {

[[noreturn]] static void refuse(const std::string& path) {
  autograd::fail(path,
                 "PNG needs libpng, got a build without it; install libpng-dev and build "
                 "xgrad again");
}
Pixels read_png(PictureFile& file, std::optional<std::int64_t>) { refuse(file.file.path()); }
std::string png_bytes(const std::string& path, Pixels&) { refuse(path); }

}  // namespace nn::data::detail

#endif
