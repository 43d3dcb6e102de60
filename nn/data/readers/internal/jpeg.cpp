#include "nn/data/readers/internal/codecs.hpp"

#ifdef XGRAD_HAVE_JPEG
// jpeglib.h uses FILE and size_t without including what declares them.
#include <cstdio>
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <array>
#include <csetjmp>
#include <exception>

#include "autograd/core/errors.hpp"
#include "nn/data/readers/internal/exif.hpp"

namespace nn::data::detail {
namespace {

namespace ag = autograd;

// A picture takes one scan for each of some bits of each colour; more are made to keep us busy.
constexpr int kMostScans = 500;
// Bytes of EXIF data to look at: the orientation stands near their beginning.
constexpr unsigned kMostExif = 4096;

// What a call into libjpeg works on. An exception of ours waits in `error` for the jump.
struct Jpeg {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX] = "too little memory";
  std::exception_ptr error;
  PictureFile* from;
  Pixels* pixels;
  std::array<JOCTET, 16384> buffer;

  Jpeg(PictureFile* file, Pixels* p) : from(file), pixels(p) {
    jpeg.err = jpeg_std_error(&errors);
    errors.error_exit = fail;
    errors.emit_message = warn;
    jpeg.client_data = this;
    source.init_source = source.term_source = [](j_decompress_ptr) {};
    source.fill_input_buffer = fill;
    source.skip_input_data = skip;
    source.resync_to_restart = jpeg_resync_to_restart;
    progress.progress_monitor = watch;
  }
  ~Jpeg() { jpeg_destroy_decompress(&jpeg); }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;

  static Jpeg& of(j_common_ptr jpeg) { return *static_cast<Jpeg*>(jpeg->client_data); }
  [[noreturn]] static void fail(j_common_ptr jpeg) {
    Jpeg& self = of(jpeg);
    jpeg->err->format_message(jpeg, self.message);
    std::longjmp(self.jump, 1);
  }
  // Warnings of libjpeg are of data that it could only guess, but for these.
  static void warn(j_common_ptr jpeg, int level) {
    const int code = jpeg->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR &&
        code != JWRN_ADOBE_XFORM && code != JWRN_TOO_MUCH_DATA)
      fail(jpeg);
  }
  static boolean fill(j_decompress_ptr jpeg) {
    Jpeg& self = of(reinterpret_cast<j_common_ptr>(jpeg));
    std::size_t got = 0;
    try {
      got = self.from->read(self.buffer.data(), self.buffer.size());
    } catch (...) {
      self.error = std::current_exception();
    }
    if (got == 0) ERREXIT(jpeg, JERR_INPUT_EOF);
    self.source.next_input_byte = self.buffer.data();
    self.source.bytes_in_buffer = got;
    return TRUE;
  }
  static void skip(j_decompress_ptr jpeg, long n) {
    jpeg_source_mgr& source = *jpeg->src;
    while (n > static_cast<long>(source.bytes_in_buffer)) {
      n -= static_cast<long>(source.bytes_in_buffer);
      fill(jpeg);
    }
    if (n <= 0) return;
    source.next_input_byte += n;
    source.bytes_in_buffer -= static_cast<std::size_t>(n);
  }
  static void watch(j_common_ptr jpeg) {
    const auto* decompress = reinterpret_cast<j_decompress_ptr>(jpeg);
    if (decompress->input_scan_number > kMostScans) ERREXIT(jpeg, JERR_BAD_PROGRESSION);
  }

  // False after an error of libjpeg.
  bool run(void (*step)(Jpeg&)) {
    if (setjmp(jump)) return false;
    step(*this);
    return true;
  }
};

void begin_reading(Jpeg& j) {
  jpeg_create_decompress(&j.jpeg);
  j.jpeg.src = &j.source;
  j.jpeg.progress = &j.progress;
  jpeg_save_markers(&j.jpeg, JPEG_APP0 + 1, kMostExif);
  jpeg_read_header(&j.jpeg, TRUE);
  const bool grey = j.jpeg.jpeg_color_space == JCS_GRAYSCALE;
  if (!grey && j.jpeg.jpeg_color_space != JCS_YCbCr && j.jpeg.jpeg_color_space != JCS_RGB)
    ERREXIT(&j.jpeg, JERR_CONVERSION_NOTIMPL);
  j.jpeg.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
  j.pixels->info = {j.jpeg.image_height, j.jpeg.image_width, grey ? 1 : 3, 8};
  // The first that says something: a marker of that kind may hold other data.
  for (auto* m = j.jpeg.marker_list; m && j.pixels->info.orientation == 1; m = m->next)
    j.pixels->info.orientation = exif_orientation(m->data, m->data_length);
}

void read_rows(Jpeg& j) {
  jpeg_start_decompress(&j.jpeg);
  while (j.jpeg.output_scanline < j.jpeg.output_height) {
    JSAMPROW row = j.pixels->bytes.get() + j.jpeg.output_scanline * j.pixels->row();
    jpeg_read_scanlines(&j.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&j.jpeg);
}

void run(const std::string& path, Jpeg& jpeg, void (*step)(Jpeg&)) {
  if (jpeg.run(step)) return;
  if (jpeg.error) std::rethrow_exception(jpeg.error);
  if (jpeg.errors.msg_code == JERR_CONVERSION_NOTIMPL)
    ag::fail(path, "must be grey or in colour, got JPEG of another kind, such as CMYK; convert it");
  ag::fail(path, "must be an intact JPEG file, got \"{}\"", ag::quoted(jpeg.message));
}

}  // namespace

Pixels read_jpeg(PictureFile& file, std::optional<std::int64_t> max_pixels) {
  const std::string& path = file.file.path();
  Pixels pixels{};
  Jpeg jpeg(&file, &pixels);
  run(path, jpeg, begin_reading);
  if (!max_pixels) return pixels;
  allocate(path, pixels, *max_pixels);
  run(path, jpeg, read_rows);
  return pixels;
}

}  // namespace nn::data::detail

#else

#include "autograd/core/errors.hpp"

namespace nn::data::detail {

Pixels read_jpeg(PictureFile& file, std::optional<std::int64_t>) {
  autograd::fail(file.file.path(),
                 "JPEG needs libjpeg, got a build without it; install libjpeg62-turbo-dev and "
                 "build xgrad again");
}

}  // namespace nn::data::detail

#endif
