#include "nn/training/report.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "autograd/autograd.hpp"
#include "nn/layers/linear.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using Catch::Matchers::ContainsSubstring;

namespace {

nlohmann::json curves(const std::string& html) {
  const std::string open = "id=\"curves\">";
  const auto begin = html.find(open) + open.size();
  return nlohmann::json::parse(html.substr(begin, html.find("</script>", begin) - begin));
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) ++n;
  return n;
}

}  // namespace

TEST_CASE("a report draws the curves whose names begin alike in one figure") {
  nn::TrainingReport report("Digits <1>");
  for (int i = 0; i < 3; ++i) {
    report.add_scalar("loss/train", 1.0 / (i + 1), i);
    report.add_scalar("loss/validation", i == 1 ? NAN : 0.5, i);
    report.add_scalar("lr", 0.1, i);
  }
  const std::string html = report.html();
  CHECK_THAT(html, ContainsSubstring("<title>Digits &lt;1></title>"));
  CHECK(count(html, "<figure class=\"plot\">") == 2);
  CHECK_THAT(html, ContainsSubstring("train last 0.3333; validation last 0.5, 1 × NaN or Inf"));
  const auto json = curves(html);
  CHECK(json[0]["title"] == "loss");
  CHECK(json[0]["curves"][0]["name"] == "train");
  CHECK(json[0]["curves"][0]["y"] == nlohmann::json({1.0, 0.5, 1.0 / 3}));
  CHECK(json[0]["curves"][1]["y"][1].is_null());
  CHECK(json[1]["title"] == "lr");
}

TEST_CASE("a report stays small however long the run is, and its curve keeps the mean") {
  nn::TrainingReport report("long");
  const int n = 1'000'000;
  for (int i = 0; i < n; ++i) report.add_scalar("x", i, i);
  const auto y = curves(report.html())[0]["curves"][0]["y"];
  CHECK(y.size() <= 2001);
  CHECK(y.size() > 900);
  for (std::size_t i = 1; i < y.size(); ++i) CHECK(y[i - 1] < y[i]);
  CHECK(y.back() >= n - 1024);
}

TEST_CASE("titles and texts of a report cannot become part of the page") {
  nn::TrainingReport report("</title><script>alert(1)</script>");
  report.add_scalar("</script><b>", 1, 0);
  report.add_text("<i>", "a </pre> \xff b");
  report.add_options({{"<u>", "<s>"}});
  const std::string html = report.html();
  for (const char* tag : {"<b>", "<i>", "<u>", "<s>", "<script>alert"})
    CHECK(count(html, tag) == 0);
  CHECK(count(html, "</script>") == 2);
  CHECK(curves(html)[0]["title"] == "<");
  CHECK(curves(html)[0]["curves"][0]["name"] == "script><b>");
  CHECK_THAT(html, ContainsSubstring("a &lt;/pre> \xef\xbf\xbd b"));
}

TEST_CASE("a report shows each parameter's gradient, and what is wrong with it") {
  nn::Linear model(2, 1);
  nn::TrainingReport report("gradients");
  for (int step = 0; step < 1000; ++step) {
    for (auto& p : model.parameters()) p.zero_grad();
    ag::sum(model(ag::full({1, 2}, step == 999 ? NAN : 1e-9))).backward();
    report.add_gradients(model, step);
  }
  const std::string html = report.html();
  CHECK(count(html, "<rect ") <= 2 * 64);
  CHECK_THAT(html, ContainsSubstring("weight at 0: 1.414e-09"));
  CHECK_THAT(html, ContainsSubstring("bias at 0: 1<"));
  CHECK_THAT(html, ContainsSubstring("NaN"));
}

TEST_CASE("a report shows confusion and the worst mistakes, the worst first") {
  nn::TrainingReport report("mistakes");
  const ag::Tensor logits = ag::tensor({{5.0, 0.0}, {1.0, 0.0}, {9.0, 0.0}, {0.0, 1.0}});
  const ag::Tensor labels = ag::tensor({0, 1, 1, 0});
  report.add_mistakes("worst", ag::randn({4, 1, 3, 3}), logits, labels, {"cat", "dog"}, 2);
  report.add_confusion("confusion", ag::tensor({{3, 1}, {2, 0}}), {"cat", "dog"});
  const std::string html = report.html();
  CHECK(count(html, "data:image/png;base64,iVBORw0KGgo") == 2);
  const auto first = html.find("dog, taken for cat; loss 9"),
             second = html.find("taken for cat; loss 1.3");
  CHECK(first < second);
  CHECK(second != html.npos);
  CHECK_THAT(html, ContainsSubstring("3 of 6 right, 50.00 %"));
  CHECK_THAT(html, ContainsSubstring("<tr><td>dog</td><td>cat</td><td>2</td></tr>"));
  CHECK_THROWS_WITH(
      report.add_confusion("c", ag::tensor({{3, 1}, {2, 0}}), {"cat"}),
      ContainsSubstring("add_confusion: there must be a name for each of the 2 classes, got 1"));
  CHECK_THROWS_WITH(
      report.add_images("i", ag::zeros({2, 1, 3, 3}), {"one"}),
      ContainsSubstring("add_images: there must be a caption for each of the 2 images"));
}

TEST_CASE("a live report is on disk while the run goes on, and loads itself again until its end") {
  const Scratch dir;
  const std::string path = dir / "report.html", again = "http-equiv=\"refresh\"";
  {
    nn::TrainingReport report("live");
    report.live(path, 0);
    report.add_scalar("loss", 1, 0);
    CHECK(count(read_bytes(path), again) == 1);
    CHECK(curves(read_bytes(path))[0]["title"] == "loss");
  }
  CHECK(count(read_bytes(path), again) == 0);
  CHECK(dir.entries() == 1);
}

TEST_CASE("a mistake whose loss is NaN is the worst") {
  nn::TrainingReport report("r");
  const ag::Tensor logits = ag::tensor({{0.0, 1.0}, {static_cast<double>(NAN), 0.0}, {0.0, 9.0}});
  report.add_mistakes("m", ag::zeros({3, 2, 2}), logits, ag::tensor({0, 1, 0}));
  const std::string html = report.html();
  CHECK(html.find("loss nan") < html.find("loss 9"));
  CHECK(html.find("loss 9") < html.find("loss 1.313"));
}

TEST_CASE("a report that was moved from says so") {
  nn::TrainingReport report("r");
  nn::TrainingReport other = std::move(report);
  const auto refusal = ContainsSubstring("TrainingReport: must hold a run, got one that was moved");
  CHECK_THROWS_WITH(report.add_scalar("a", 1, 1), refusal);  // NOLINT(bugprone-use-after-move)
  CHECK_THROWS_WITH(report.html(), refusal);
  CHECK_NOTHROW(other.html());
}
