#include "nn/training/tensorboard.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "autograd/ops/ops.hpp"
#include "nn/data/internal/unicode.hpp"
#include "nn/data/readers/image_file.hpp"
#include "nn/training/internal/graph_message.hpp"
#include "nn/training/internal/held.hpp"
#include "nn/training/internal/pictures.hpp"
#include "nn/training/internal/wire.hpp"

namespace nn {

namespace {

using detail::Message;

constexpr std::string_view kType = "TensorBoardWriter";

// CRC-32C, reflected (RFC 3720, appendix B.4), as TensorFlow's record files mask it.
std::uint32_t masked_crc(std::string_view bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      t[i] = i;
      for (int bit = 0; bit < 8; ++bit) t[i] = t[i] >> 1 ^ (t[i] & 1 ? 0x82f63b78u : 0u);
    }
    return t;
  }();
  std::uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<std::uint8_t>(c)) & 0xff];
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

std::string record(std::string_view event) {
  const auto raw = [](auto x) {
    std::string bytes(sizeof x, '\0');
    std::memcpy(bytes.data(), &x, sizeof x);
    return bytes;
  };
  const std::string length = raw(static_cast<std::uint64_t>(event.size()));
  std::string out = length + raw(masked_crc(length));
  out += event;
  return out + raw(masked_crc(event));
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Message plugin(std::string_view name, const Message& content = {}) {
  return Message().message(1, Message().bytes(1, name).message(2, content));
}

// The limits of buckets as TensorFlow draws them: ±1e-12 1.1^k, 0, and the largest number.
const std::vector<double>& bucket_limits() {
  static const auto limits = [] {
    std::vector<double> positive, all;
    for (double x = 1e-12; x < 1e20; x *= 1.1) positive.push_back(x);
    all.push_back(-std::numeric_limits<double>::max());
    for (auto x = positive.rbegin(); x != positive.rend(); ++x) all.push_back(-*x);
    all.push_back(0);
    all.insert(all.end(), positive.begin(), positive.end());
    all.push_back(std::numeric_limits<double>::max());
    return all;
  }();
  return limits;
}

Message histogram(const ag::Tensor& values) {
  const ag::Tensor x = values.detach().to(ag::float64);
  const std::vector<double>& limits = bucket_limits();
  std::vector<double> counts(limits.size());
  double least = std::numeric_limits<double>::infinity(), most = -least;
  double n = 0, sum = 0, squares = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double v = x.data<double>()[i];
    if (!std::isfinite(v)) continue;
    least = std::min(least, v), most = std::max(most, v);
    ++n, sum += v, squares += v * v;
    const auto bucket = std::lower_bound(limits.begin(), limits.end(), v);  // first limit >= v
    ++counts[static_cast<std::size_t>(bucket - limits.begin())];
  }
  if (n == 0)
    ag::fail("add_histogram", "values must have at least one finite element, got shape {}",
             values.shape());
  const auto used = [](double count) { return count > 0; };
  // One empty bucket before the first says where that one begins.
  auto first = std::find_if(counts.begin(), counts.end(), used) - counts.begin();
  const auto last = counts.rend() - std::find_if(counts.rbegin(), counts.rend(), used);
  if (first > 0) --first;
  Message m;
  m.number(1, least).number(2, most).number(3, n).number(4, sum).number(5, squares);
  m.packed(6, std::vector<double>(limits.begin() + first, limits.begin() + last));
  return m.packed(7, std::vector<double>(counts.begin() + first, counts.begin() + last));
}

Message picture(const ag::Tensor& image) {
  const ag::Tensor x = detail::clipped(image);
  const bool planes = x.ndim() == 3;
  return Message()
      .integer(1, x.size(planes ? 1 : 0))
      .integer(2, x.size(planes ? 2 : 1))
      .integer(3, planes ? x.size(0) : 1)
      .bytes(4, data::encode_png(x));
}

// A string as a tensor of one element.
Message text_tensor(std::string_view text) {
  constexpr int kString = 7;
  const Message shape = Message().message(2, Message().integer(1, 1));
  return Message().integer(1, kString).message(2, shape).bytes(8, text);
}

// google.protobuf.Value, and the type that the plugin calls it.
Message value_of(const HyperParameter& x) {
  if (auto* b = std::get_if<bool>(&x)) return Message().integer(4, *b);
  if (auto* d = std::get_if<double>(&x)) return Message().number(2, *d);
  return Message().bytes(3, std::get<std::string>(x));
}
int type_of(const HyperParameter& x) {
  constexpr int kTypes[] = {2, 3, 1};  // bool, float64, string
  return kTypes[x.index()];
}

}  // namespace

struct TensorBoardWriter::Impl {
  std::filesystem::path path;
  double flush_seconds, flushed = now();
  int file = -1;
  std::string waiting;

  ~Impl() {
    if (file < 0) return;
    try {
      flush();
    } catch (...) {
    }
    ::close(file);
  }
  void flush() {
    std::string_view left = waiting;
    while (!left.empty()) {
      const ssize_t n = ::write(file, left.data(), left.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        waiting.erase(0, waiting.size() - left.size());
        ag::fail(path.string(), "the file must be writable, got '{}'", std::strerror(errno));
      }
      left.remove_prefix(static_cast<std::size_t>(n));
    }
    waiting.clear();
    flushed = now();
  }
  void add(const Message& event) {
    waiting += record(event.text());
    if (now() - flushed >= flush_seconds) flush();
  }
  // `field` of a Summary.Value, and its metadata.
  void add(std::string_view where, std::string_view tag, std::int64_t step, const Message& content,
           const Message& metadata = {}) {
    if (tag.empty()) ag::fail(where, "a tag must not be empty");
    data::detail::check_utf8(where, tag);
    if (step < 0) ag::fail(where, "step must be at least 0, got {}", step);
    Message value = content;
    value.bytes(1, tag);
    if (!metadata.text().empty()) value.message(9, metadata);
    add(Message().number(1, now()).integer(2, step).message(5, Message().message(1, value)));
  }
};

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& directory,
                                     const TensorBoardOptions& options)
    : impl_(std::make_unique<Impl>()) {
  const std::string shown = directory.string();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error || !std::filesystem::is_directory(directory))
    ag::fail(shown, "must be a directory that can be made, got '{}'",
             error ? error.message() : "not a directory");
  // TensorBoard takes files with this word in their name, in the order of the names.
  static std::atomic<int> count = 0;
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  impl_->path = directory / fmt::format("events.out.tfevents.{:010}.{}.{}.{}{}",
                                        static_cast<std::int64_t>(now()), host, ::getpid(), count++,
                                        options.suffix);
  impl_->flush_seconds = options.flush_seconds;
  impl_->file =
      ::open(impl_->path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  if (impl_->file < 0)
    ag::fail(impl_->path.string(), "the file must be writable, got '{}'", std::strerror(errno));
  impl_->add(Message().number(1, now()).bytes(3, "brain.Event:2"));
  impl_->flush();
}

TensorBoardWriter::~TensorBoardWriter() = default;
TensorBoardWriter::TensorBoardWriter(TensorBoardWriter&&) noexcept = default;
TensorBoardWriter& TensorBoardWriter::operator=(TensorBoardWriter&&) noexcept = default;

void TensorBoardWriter::add_scalar(std::string_view tag, double value, std::int64_t step) {
  detail::held(impl_, kType)
      ->add("add_scalar", tag, step, Message().number(2, static_cast<float>(value)));
}

void TensorBoardWriter::add_histogram(std::string_view tag, const ag::Tensor& values,
                                      std::int64_t step) {
  if (!values.defined())
    ag::fail("add_histogram", "values must be defined, got an undefined tensor");
  detail::held(impl_, kType)
      ->add("add_histogram", tag, step, Message().message(5, histogram(values)));
}

void TensorBoardWriter::add_image(std::string_view tag, const ag::Tensor& image,
                                  std::int64_t step) {
  if (!image.defined()) ag::fail("add_image", "the image must be defined, got an undefined tensor");
  if (image.ndim() != 2 && image.ndim() != 3)
    ag::fail("add_image",
             "the image must have shape (channels, height, width) or (height, width), "
             "got {}",
             image.shape());
  detail::check_pictures("add_image", ag::unsqueeze(image.detach(), 0));
  detail::held(impl_, kType)->add("add_image", tag, step, Message().message(4, picture(image)));
}

void TensorBoardWriter::add_images(std::string_view tag, const ag::Tensor& images,
                                   std::int64_t step) {
  detail::check_pictures("add_images", images);
  const ag::Tensor x = images.ndim() == 4 ? images.detach() : ag::unsqueeze(images.detach(), 1);
  detail::held(impl_, kType)
      ->add("add_images", tag, step,
            Message().message(4, picture(detail::picture_grid(detail::clipped(x)))));
}

void TensorBoardWriter::add_text(std::string_view tag, std::string_view text, std::int64_t step) {
  data::detail::check_utf8("add_text", text);
  detail::held(impl_, kType)
      ->add("add_text", tag, step, Message().message(8, text_tensor(text)), plugin("text"));
}

// The plugin reads three messages, under names of its own, from the summary's metadata.
// Source: tensorboard/plugins/hparams/{api,plugin_data}.proto
void TensorBoardWriter::add_hparams(const std::map<std::string, HyperParameter>& hparams,
                                    const std::map<std::string, double>& metrics) {
  constexpr int kSuccess = 1;
  Message experiment, start;
  experiment.number(3, now());
  for (const auto& [name, value] : hparams) {
    data::detail::check_utf8("add_hparams", name);
    if (auto* text = std::get_if<std::string>(&value))
      data::detail::check_utf8("add_hparams", *text);
    experiment.message(4, Message().bytes(1, name).integer(4, type_of(value)));
    start.message(1, Message().bytes(1, name).message(2, value_of(value)));
  }
  for (const auto& [name, value] : metrics)
    experiment.message(5, Message().message(1, Message().bytes(2, name)));
  start.number(5, now());
  const Message end = Message().integer(1, kSuccess).number(2, now());
  const auto add = [&](std::string_view tag, int field, const Message& content) {
    detail::held(impl_, kType)
        ->add("add_hparams", tag, 0, Message(),
              plugin("hparams", Message().message(field, content)));
  };
  add("_hparams_/experiment", 2, experiment);
  add("_hparams_/session_start_info", 3, start);
  for (const auto& [name, value] : metrics) add_scalar(name, value, 0);
  add("_hparams_/session_end_info", 4, end);
  flush();
}

void TensorBoardWriter::write_graph(const detail::ExportedModel& model,
                                    const ag::TensorList& examples) {
  Impl* const impl = detail::held(impl_, kType);
  impl->add(Message().number(1, now()).bytes(4, detail::graph_message(model, examples).text()));
}

void TensorBoardWriter::flush() { detail::held(impl_, kType)->flush(); }
const std::filesystem::path& TensorBoardWriter::path() const noexcept { return impl_->path; }

}  // namespace nn
