#include <algorithm>
#include <cstdlib>
#include <exception>
#include <utility>

#include "autograd/core/errors.hpp"
#include "nn/io/internal/replacement.hpp"
#include "nn/io/internal/utf8.hpp"
#include "nn/io/internal/zip.hpp"

#ifdef XGRAD_HAVE_libzip
#include <zip.h>
#endif

namespace nn::detail {

using autograd::fail;

#ifdef XGRAD_HAVE_libzip

namespace {

// The new file as libzip writes it; see Input.
struct Output {
  explicit Output(Replacement& f) : file(f) { zip_error_init(&error); }

  Replacement& file;
  std::uint64_t at = 0, size = 0;
  std::exception_ptr thrown = nullptr;
  zip_error_t error;

  static zip_int64_t call(void* self, void* data, zip_uint64_t n, zip_source_cmd_t command) {
    return static_cast<Output*>(self)->answer(data, n, command);
  }

 private:
  zip_int64_t answer(void* data, zip_uint64_t n, zip_source_cmd_t command) try {
    switch (command) {
      case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_WRITABLE;
      case ZIP_SOURCE_STAT:
        zip_stat_init(static_cast<zip_stat_t*>(data));
        return sizeof(zip_stat_t);
      case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&error, data, n);
      case ZIP_SOURCE_WRITE:
        file.write(data, n);
        at += n;
        size = std::max(size, at);
        return static_cast<zip_int64_t>(n);
      case ZIP_SOURCE_SEEK_WRITE: {
        const auto to = zip_source_seek_compute_offset(at, size, data, n, &error);
        if (to < 0) return -1;
        at = static_cast<std::uint64_t>(to);
        file.seek(at);
        return 0;
      }
      case ZIP_SOURCE_TELL_WRITE:
        return static_cast<zip_int64_t>(at);
      default:
        return 0;
    }
  } catch (...) {
    thrown = std::current_exception();
    zip_error_set(&error, ZIP_ER_WRITE, 0);
    return -1;
  }
};

void check_name(const std::string& path, const std::string& name) {
  const bool leaves = name.starts_with('/') || name.find('\\') != name.npos ||
                      ("/" + name + "/").find("/../") != std::string::npos;
  if (leaves)
    fail(path, "names must stay in the directory where the archive is unpacked, got '{}'", name);
  if (name.empty() || name.size() > 32767 || name.find('\0') != name.npos)
    fail(path, "names must have 1 to 32767 bytes and no zero among them, got {}", name.size());
  if (!is_utf8(name)) fail(path, "names must be UTF-8, got other bytes in '{}'", name);
}

}  // namespace

struct ZipWriter::Impl {
  explicit Impl(const std::string& p) : path(p), file(path), output(file) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* const source = zip_source_function_create(Output::call, &output, &error);
    if (source) zip = zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, &error);
    zip_error_fini(&error);
    if (source && !zip) zip_source_free(source);
    check(zip != nullptr);
  }
  ~Impl() {
    if (zip) zip_discard(zip);
  }
  void check(bool holds) {
    if (output.thrown) std::rethrow_exception(std::exchange(output.thrown, nullptr));
    if (!holds)
      fail(path, "a zip archive must be writable, got \"{}\"",
           zip ? zip_strerror(zip) : "an error of libzip");
  }

  std::string path;
  Replacement file;
  Output output;
  zip_t* zip = nullptr;
};

ZipWriter::ZipWriter(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}

void ZipWriter::add(const std::string& name, const std::vector<std::string_view>& pieces,
                    bool compressed) {
  check_name(impl_->path, name);
  std::vector<zip_buffer_fragment_t> fragments;
  for (const std::string_view piece : pieces)
    fragments.push_back(
        {reinterpret_cast<zip_uint8_t*>(const_cast<char*>(piece.data())), piece.size()});
  zip_t* const zip = impl_->zip;
  zip_source_t* const source =
      zip_source_buffer_fragment_create(fragments.data(), fragments.size(), 0, zip_get_error(zip));
  impl_->check(source != nullptr);
  const zip_int64_t index = zip_file_add(zip, name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) zip_source_free(source);
  impl_->check(index >= 0);
  const auto place = static_cast<zip_uint64_t>(index);
  // The first day that zip knows: the bytes are a function of the entries.
  constexpr zip_uint16_t kFirstDay = 0x0021;
  impl_->check(
      zip_file_set_dostime(zip, place, 0, kFirstDay, 0) == 0 &&
      zip_set_file_compression(zip, place, compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) == 0);
}

void ZipWriter::commit() {
  const bool closed = zip_close(impl_->zip) == 0;
  impl_->check(closed);
  impl_->zip = nullptr;
  impl_->file.commit();
}

#else

struct ZipWriter::Impl {};

ZipWriter::ZipWriter(const std::string& path) {
  fail(path,
       "zip archives (npz, torch.save) need libzip, got a build without it; install "
       "libzip-dev and build xgrad again");
}

// There is no writer to call these.
void ZipWriter::add(const std::string&, const std::vector<std::string_view>&, bool) {
  std::abort();
}
void ZipWriter::commit() { std::abort(); }

#endif

ZipWriter::~ZipWriter() = default;

}  // namespace nn::detail
