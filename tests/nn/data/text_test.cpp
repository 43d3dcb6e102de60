#include "nn/data/readers/text.hpp"

#include "autograd/core/errors.hpp"
#include "tests/catch.hpp"
#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/scratch.hpp"

namespace data = nn::data;
using Catch::Matchers::Equals;
using Lines = std::vector<std::string>;

TEST_CASE("a file of text is read whole, gzipped or not, without its byte order mark") {
  const Scratch dir;
  const std::string path = dir / "t";
  const std::string text = std::string("ü\r\n") + '\0' + "日本\n\n\xEF\xBB\xBF";
  for (const std::string& bytes : {text, "\xEF\xBB\xBF" + text, fuzz::gzipped(text)}) {
    write_bytes(path, bytes);
    CHECK(data::read_text(path) == text);
  }
  write_bytes(path, "");
  CHECK(data::read_text(path).empty());
  write_bytes(path, fuzz::gzipped(text));
  CHECK_THROWS_WITH(data::read_text(path, {.max_unpacked = 3}),
                    Catch::Matchers::StartsWith(path + ": gzip data must unpack to at most 3"));
}

TEST_CASE("lines end with LF or CRLF, and the last one need not end") {
  const Scratch dir;
  const std::string path = dir / "t";
  const auto lines = [&](const std::string& bytes) {
    write_bytes(path, bytes);
    return data::read_lines(path);
  };
  CHECK(lines("") == Lines{});
  CHECK(lines("\n") == Lines{""});
  CHECK(lines("a\r\n\r\nb\n\nc") == Lines{"a", "", "b", "", "c"});
  CHECK(lines("a\nb\n") == Lines{"a", "b"});
  CHECK(lines("\xEF\xBB\xBF"
              "a\rb\r\r\n\r") == Lines{"a\rb\r", "\r"});
}

TEST_CASE("text that is not UTF-8 is refused with the place") {
  const Scratch dir;
  const std::string path = dir / "t";
  const auto refusal = [&](const std::string& bytes) {
    write_bytes(path, bytes);
    try {
      data::read_lines(path);
    } catch (const autograd::Error& e) {
      return std::string(e.what()).substr(path.size());
    }
    return std::string("taken");
  };
  CHECK(refusal("ab\xE4"
                "c") == ": text must be UTF-8, got byte 0xE4 at byte 2");
  CHECK(refusal("\xEF\xBB\xBF\xFF") == ": text must be UTF-8, got byte 0xFF at byte 3");
  CHECK(refusal("\xC3\xBC\xE6\x97") == ": text must be UTF-8, got byte 0xE6 at byte 2");
  CHECK(refusal("\xC0\x80") == ": text must be UTF-8, got byte 0xC0 at byte 0");      // too long
  CHECK(refusal("\xED\xA0\x80") == ": text must be UTF-8, got byte 0xED at byte 0");  // surrogate
  CHECK(refusal("\xF4\x90\x80\x80") ==
        ": text must be UTF-8, got byte 0xF4 at byte 0");  // too large
  CHECK(refusal("\xFF\xFE"
                "a") == ": must be UTF-8, got UTF-16; convert it first");
  CHECK(refusal("\xF4\x8F\xBF\xBF") == "taken");
  CHECK_THROWS_WITH(data::read_text(dir / "none"),
                    Catch::Matchers::StartsWith(dir / "none: must be a readable file"));
}
