#include <algorithm>
#include <cstdlib>
#include <exception>
#include <unordered_map>
#include <utility>

#include "autograd/core/errors.hpp"
#include "nn/io/internal/regular_file.hpp"
#include "nn/io/internal/zip.hpp"

#ifdef XGRAD_HAVE_libzip
#include <zip.h>
#endif

namespace nn::detail {

using autograd::fail;

Budget::Budget(const std::string& path, std::uint64_t file_size, std::optional<std::int64_t> most)
    : path_(path) {
  if (most && *most < 0) fail(path, "max_unpacked must not be negative, got {}", *most);
  limit_ = most ? static_cast<std::uint64_t>(*most)
                : std::max(std::uint64_t{256} << 20, 100 * file_size);
  left_ = limit_;
}

void Budget::spend(std::uint64_t bytes) {
  if (bytes > left_)
    fail(path_,
         "must unpack to at most {} bytes, got more; raise max_unpacked if you trust the file",
         limit_);
  left_ -= bytes;
}

#ifdef XGRAD_HAVE_libzip

namespace {

constexpr std::uint64_t kMaxEntries = 1'000'000;
constexpr std::uint64_t kMaxRatio = 1032;  // of deflate: 258 bytes in 2 bits

// The file as libzip asks for it. An exception of ours waits in `thrown` until it has returned.
struct Input {
  explicit Input(const RegularFile& f) : file(f) { zip_error_init(&error); }

  const RegularFile& file;
  std::uint64_t at = 0;
  std::exception_ptr thrown = nullptr;
  zip_error_t error;

  static zip_int64_t call(void* self, void* data, zip_uint64_t n, zip_source_cmd_t command) {
    return static_cast<Input*>(self)->answer(data, n, command);
  }

 private:
  zip_int64_t answer(void* data, zip_uint64_t n, zip_source_cmd_t command) {
    switch (command) {
      case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_SEEKABLE;
      case ZIP_SOURCE_OPEN:
        at = 0;
        return 0;
      case ZIP_SOURCE_READ:
        return read(data, n);
      case ZIP_SOURCE_STAT: {
        auto* const status = static_cast<zip_stat_t*>(data);
        zip_stat_init(status);
        status->valid = ZIP_STAT_SIZE;
        status->size = file.size();
        return sizeof *status;
      }
      case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&error, data, n);
      case ZIP_SOURCE_SEEK: {
        const auto to = zip_source_seek_compute_offset(at, file.size(), data, n, &error);
        if (to < 0) return -1;
        at = static_cast<std::uint64_t>(to);
        return 0;
      }
      case ZIP_SOURCE_TELL:
        return static_cast<zip_int64_t>(at);
      default:
        return 0;
    }
  }
  zip_int64_t read(void* out, std::uint64_t n) try {
    n = std::min(n, file.size() - std::min(at, file.size()));
    file.read(out, n, at);
    at += n;
    return static_cast<zip_int64_t>(n);
  } catch (...) {
    thrown = std::current_exception();
    zip_error_set(&error, ZIP_ER_READ, 0);
    return -1;
  }
};

}  // namespace

struct ZipReader::Impl {
  Impl(const std::string& path, std::optional<std::int64_t> most)
      : file(path), budget(path, file.size(), most), input(file) {
    if (file.size() == 0) fail(path, "must be an intact zip archive, got an empty file");
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* const source = zip_source_function_create(Input::call, &input, &error);
    if (source) zip.reset(zip_open_from_source(source, ZIP_RDONLY, &error));
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    if (source && !zip) zip_source_free(source);
    rethrow();
    if (!zip) fail(path, "must be an intact zip archive, got \"{}\"", reason);
    list();
  }

  void rethrow() {
    if (input.thrown) std::rethrow_exception(std::exchange(input.thrown, nullptr));
  }

  // All entries, from the central directory.
  void list() {
    const auto count = static_cast<std::uint64_t>(zip_get_num_entries(zip.get(), 0));
    if (count > kMaxEntries)
      fail(file.path(), "must have at most {} entries, got {}", kMaxEntries, count);
    for (std::uint64_t i = 0; i < count; ++i) {
      zip_stat_t status;
      zip_stat_init(&status);
      constexpr std::uint64_t kWanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                                        ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
      const bool known = zip_stat_index(zip.get(), i, 0, &status) == 0;
      rethrow();
      if (!known || (status.valid & kWanted) != kWanted)
        fail(file.path(), "the zip archive must say what its entries are, got damage in entry {}",
             i);
      check(status);
      if (!by_name.emplace(status.name, entries.size()).second)
        fail(file.path(), "names must be unique in the zip archive, got '{}' twice", status.name);
      entries.push_back({status.name, status.size, i});
    }
  }

  void check(const zip_stat_t& s) const {
    if (s.encryption_method != ZIP_EM_NONE)
      fail(file.path(), "'{}' must not be encrypted, got a password's", s.name);
    if (s.comp_method != ZIP_CM_STORE && s.comp_method != ZIP_CM_DEFLATE)
      fail(file.path(), "'{}' must be stored or deflated, got the zip method {}", s.name,
           s.comp_method);
    if (s.comp_size > file.size())
      fail(file.path(), "'{}' must be within the {} bytes of the file, got {}; the file is cut off",
           s.name, file.size(), s.comp_size);
    const bool stored = s.comp_method == ZIP_CM_STORE;
    if (stored ? s.size != s.comp_size : s.size > kMaxRatio * (s.comp_size + 1))
      fail(file.path(), "'{}' must have the size that its {} bytes unpack to, got {}", s.name,
           s.comp_size, s.size);
  }

  struct Close {
    void operator()(zip_t* z) const { zip_discard(z); }
    void operator()(zip_file_t* f) const { zip_fclose(f); }
  };
  RegularFile file;
  Budget budget;
  Input input;
  std::unique_ptr<zip_t, Close> zip;
  std::vector<Entry> entries;
  std::unordered_map<std::string, std::size_t> by_name;
  std::unique_ptr<zip_file_t, Close> current;
  const Entry* entry = nullptr;  // that is open
  std::uint64_t left = 0;        // of it
};

ZipReader::ZipReader(const std::string& path, std::optional<std::int64_t> max_unpacked)
    : impl_(std::make_unique<Impl>(path, max_unpacked)) {}

const std::string& ZipReader::path() const { return impl_->file.path(); }
const std::vector<ZipReader::Entry>& ZipReader::entries() const { return impl_->entries; }
Budget& ZipReader::budget() { return impl_->budget; }

const ZipReader::Entry* ZipReader::find(std::string_view name) const {
  const auto found = impl_->by_name.find(std::string(name));
  return found == impl_->by_name.end() ? nullptr : &impl_->entries[found->second];
}

void ZipReader::open(const Entry& entry) {
  budget().spend(entry.size);
  impl_->current.reset(zip_fopen_index(impl_->zip.get(), entry.index, 0));
  impl_->rethrow();
  if (!impl_->current)
    fail(path(), "'{}' must be intact in the zip archive, got \"{}\"", entry.name,
         zip_strerror(impl_->zip.get()));
  impl_->entry = &entry;
  impl_->left = entry.size;
  if (entry.size == 0) read(nullptr, 0);
}

void ZipReader::read(void* out, std::uint64_t n) {
  auto& in = *impl_;
  const auto damaged = [&](std::string_view what) {
    in.rethrow();
    fail(path(), "'{}' must be intact in the zip archive, got \"{}\"", in.entry->name, what);
  };
  if (n > in.left) damaged("an early end");
  for (std::uint64_t done = 0; done < n;) {
    const auto got = zip_fread(in.current.get(), static_cast<char*>(out) + done, n - done);
    if (got <= 0) damaged(got == 0 ? "an early end" : zip_file_strerror(in.current.get()));
    done += static_cast<std::uint64_t>(got);
  }
  in.left -= n;
  if (in.left > 0) return;
  char more;  // at the end the check sum is compared
  const auto got = zip_fread(in.current.get(), &more, 1);
  if (got != 0) damaged(got > 0 ? "more bytes" : zip_file_strerror(in.current.get()));
}

#else

struct ZipReader::Impl {};

ZipReader::ZipReader(const std::string& path, std::optional<std::int64_t>) {
  fail(path,
       "zip archives (npz, torch.save) need libzip, got a build without it; install "
       "libzip-dev and build xgrad again");
}

// There is no reader to call these.
const std::string& ZipReader::path() const { std::abort(); }
const std::vector<ZipReader::Entry>& ZipReader::entries() const { std::abort(); }
Budget& ZipReader::budget() { std::abort(); }
const ZipReader::Entry* ZipReader::find(std::string_view) const { std::abort(); }
void ZipReader::open(const Entry&) { std::abort(); }
void ZipReader::read(void*, std::uint64_t) { std::abort(); }

#endif

ZipReader::~ZipReader() = default;

std::string ZipReader::read_all(const Entry& entry) {
  open(entry);
  std::string bytes(entry.size, '\0');
  if (!bytes.empty()) read(bytes.data(), bytes.size());
  return bytes;
}

}  // namespace nn::detail
