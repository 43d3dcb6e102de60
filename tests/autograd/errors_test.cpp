#include "autograd/errors.hpp"

#include <string>

#include "tests/catch.hpp"

namespace {
using autograd::quoted;

std::string text_of(const std::string& where, const std::string& what) {
  try {
    autograd::fail(where, "needs a name, got '{}'", what);
  } catch (const autograd::Error& e) {
    return e.what();
  }
  return {};
}
}  // namespace

TEST_CASE("text from outside is quoted on one line") {
  CHECK(quoted("fc1.weight") == "fc1.weight");
  CHECK(quoted("größe → 层") == "größe → 层");
  CHECK(quoted(std::string("a\nb\tc\r\x1b[1m\0z", 12)) == "a\\nb\\tc\\r\\x1b[1m\\x00z");
  CHECK(quoted("\x7f \u0085 \u2028") == "\\x7f \\xc2\\x85 \\xe2\\x80\\xa8");
  // No UTF-8: a stray byte, a character cut short, a surrogate, more than Unicode has, an overlong
  // 0.
  CHECK(quoted("\xff \xe5\xb1") == "\\xff \\xe5\\xb1");
  CHECK(quoted("\xed\xa0\x80 \xf4\x90\x80\x80 \xc0\x80") ==
        "\\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xc0\\x80");
}

TEST_CASE("long text from outside is quoted by its beginning and end") {
  const std::string full(80, 'x');
  CHECK(quoted(full) == full);
  CHECK(quoted(full + "y") == std::string(53, 'x') + "…" + std::string(25, 'x') + "y");
  CHECK(quoted(std::string(10'000'000, '\n') + "end", 16) == "\\n\\n\\n\\n\\n…\\nend");
  std::string wide;
  for (int i = 0; i < 1000; ++i) wide += "层";
  CHECK(quoted(wide, 6) == "层层层层…层");
  CHECK(quoted("abcd", 3) == "ab…");
}

TEST_CASE("an error is one line whatever is in it") {
  CHECK(text_of("a\nb.csv", "c\nd") == "a\\nb.csv: needs a name, got 'c\\nd'");
  CHECK(text_of(std::string(1000, 'x'), "").size() < 300);
  autograd::Error error("linear: needs a weight");
  error.set_layer({"blocks.a\nb", "Linear\r", nullptr});
  CHECK(error.what() == std::string("blocks.a\\nb (Linear\\r): linear: needs a weight"));
}
