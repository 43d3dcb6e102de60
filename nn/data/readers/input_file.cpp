#include "nn/data/readers/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "autograd/core/errors.hpp"
#include "nn/io/files.hpp"

namespace nn::data {

using autograd::fail;

class InputFile::Source {
 public:
  Source(const std::string& path, std::optional<std::int64_t> max_unpacked)
      : path_(path), max_unpacked_(max_unpacked), buffer_(std::size_t{64} << 10) {
    if (max_unpacked && *max_unpacked < 0)
      fail("InputFile", "max_unpacked must be at least 0, got {}", *max_unpacked);
    open();
    fill();
    packed_ = size_ >= 2 && buffer_[0] == 0x1f && buffer_[1] == 0x8b;
    // 16 + 15: a gzip wrapper, the largest window.
    if (packed_ && inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) refuse_memory();
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() {
    if (packed_) inflateEnd(&stream_);
  }

  std::size_t read(std::uint8_t* out, std::size_t n) {
    std::size_t got = 0;
    while (got < n) {
      const std::size_t more = packed_ ? unpack(out + got, n - got) : copy(out + got, n - got);
      if (more == 0) break;
      got += more;
    }
    return got;
  }

 private:
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };

  // To open a named pipe would wait for a writer, for ever if there is none. So it is opened
  // without waiting, and a first read tells: it is at its end only where nobody writes.
  void open() {
    const int fd = nn::detail::open_to_read(path_);
    if (fd >= 0) file_.reset(::fdopen(fd, "rb"));
    if (!file_) fail(path_, "must be a readable file, got: {}", std::strerror(errno));
    struct stat status {};
    const bool known = ::fstat(fd, &status) == 0;
    if (known && !S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
      fail(path_, "must be a file, got {}", nn::detail::kind_of(status.st_mode));
    if (known && S_ISFIFO(status.st_mode)) {
      const auto got = ::read(fd, buffer_.data(), buffer_.size());
      if (got == 0) fail(path_, "must hold data, got a pipe that nobody writes to");
      if (got > 0) size_ = consumed_ = static_cast<std::size_t>(got);
    }
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  }

  // False at the end of the file.
  bool refill() {
    at_ = size_ = 0;
    fill();
    return size_ > 0;
  }
  void fill() {
    const std::size_t got =
        std::fread(buffer_.data() + size_, 1, buffer_.size() - size_, file_.get());
    if (std::ferror(file_.get())) fail(path_, "must be readable, got: {}", std::strerror(errno));
    size_ += got;
    consumed_ += got;
  }

  std::size_t copy(std::uint8_t* out, std::size_t n) {
    if (at_ == size_ && !refill()) return 0;
    n = std::min(n, size_ - at_);
    std::memcpy(out, buffer_.data() + at_, n);
    at_ += n;
    return n;
  }

  // Some bytes, or 0 at the end of the last member.
  std::size_t unpack(std::uint8_t* out, std::size_t n) {
    n = std::min<std::size_t>(n, std::size_t{1} << 20);  // the limit is checked after each piece
    stream_.next_out = out;
    stream_.avail_out = static_cast<uInt>(n);
    while (stream_.avail_out == n) {
      if (at_ == size_ && !refill()) {
        if (!member_ended_)
          fail(path_, "gzip data must be complete, got the end of the file after {} bytes",
               consumed_);
        return 0;
      }
      if (member_ended_) next_member();
      stream_.next_in = buffer_.data() + at_;
      stream_.avail_in = static_cast<uInt>(size_ - at_);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      at_ = size_ - stream_.avail_in;
      member_ended_ = status == Z_STREAM_END;
      if (status == Z_MEM_ERROR) refuse_memory();
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
        fail(path_, "gzip data must be intact, got \"{}\" at byte {}",
             stream_.msg ? stream_.msg : "a preset dictionary", offset());
    }
    unpacked_ += n - stream_.avail_out;
    check_limit();
    return n - stream_.avail_out;
  }

  void check_limit() const {
    const std::size_t usual = std::max(std::size_t{256} << 20, 100 * consumed_);
    const std::size_t limit = max_unpacked_ ? static_cast<std::size_t>(*max_unpacked_) : usual;
    if (unpacked_ > limit)
      fail(path_,
           "gzip data must unpack to at most {} bytes, got more from {} bytes; raise max_unpacked "
           "or unpack the file yourself if you trust it",
           limit, consumed_);
  }

  [[noreturn]] void refuse_memory() const {
    fail(path_, "gzip data need some memory to be unpacked, got none");
  }

  // RFC 1952 allows several members, one after the other.
  void next_member() {
    if (buffer_[at_] != 0x1f)
      fail(path_, "gzip data must be followed by the end of the file, got more bytes at byte {}",
           offset());
    inflateReset(&stream_);
    member_ended_ = false;
  }

  std::size_t offset() const { return consumed_ - size_ + at_; }

  std::string path_;
  std::optional<std::int64_t> max_unpacked_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<std::uint8_t> buffer_;
  std::size_t at_ = 0, size_ = 0;  // what is left of the buffer
  std::size_t consumed_ = 0;       // bytes read from the file
  std::size_t unpacked_ = 0;
  bool packed_ = false, member_ended_ = false;
  z_stream stream_{};
};

InputFile::InputFile(std::string path, std::optional<std::int64_t> max_unpacked)
    : path_(std::move(path)), source_(std::make_unique<Source>(path_, max_unpacked)) {}
InputFile::InputFile(InputFile&&) noexcept = default;
InputFile& InputFile::operator=(InputFile&&) noexcept = default;
InputFile::~InputFile() = default;

std::size_t InputFile::read(void* out, std::size_t n) {
  return source_->read(static_cast<std::uint8_t*>(out), n);
}

std::string InputFile::read_all() {
  std::string text;
  std::size_t size = 0;
  do {
    text.resize(std::max<std::size_t>(std::size_t{64} << 10, 2 * size));
    size += read(text.data() + size, text.size() - size);
  } while (size == text.size());
  text.resize(size);
  return text;
}

}  // namespace nn::data
