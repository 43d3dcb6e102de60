#include "nn/data/readers/text.hpp"

#include <string_view>

#include "autograd/core/errors.hpp"
#include "nn/data/internal/unicode.hpp"
#include "nn/data/readers/input_file.hpp"

namespace nn::data {

std::string read_text(const std::string& path, const TextOptions& options) {
  std::string text = InputFile(path, options.max_unpacked).read_all();
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    autograd::fail(path, "must be UTF-8, got UTF-16; convert it first");
  detail::check_utf8(path, text);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  return text;
}

std::vector<std::string> read_lines(const std::string& path, const TextOptions& options) {
  const std::string text = read_text(path, options);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line(text.data() + at, end - at);
    if (end < text.size() && line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    at = end + 1;
  }
  return lines;
}

}  // namespace nn::data
