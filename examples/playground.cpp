// A page on which a neuron and small networks are changed by hand and stepped forward and backward, with numbers of
// the library: open the address that it prints. It listens to this machine alone; --once asks itself, and ends.
#include <fmt/core.h>
#include <httplib.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>

#include "playground/network.hpp"

using nlohmann::json;

namespace {

// Another site whose name leads here, in a browser of this machine, is none of ours.
bool is_local(const httplib::Request& request) {
  const std::string host = request.get_header_value("Host");
  return host.rfind("127.0.0.1:", 0) == 0 || host.rfind("localhost:", 0) == 0;
}

template <class F>
auto answering(F f) {
  return [f](const httplib::Request& request, httplib::Response& response) {
    try {
      response.set_content(f(json::parse(request.body)).dump(), "application/json");
    } catch (const std::exception& e) {
      response.status = 400;
      response.set_content(e.what(), "text/plain");
    }
  };
}

// The neuron of the article: x = 0.5, w = 0.4, b = 0.1, y = 1.
int ask_once(int port) {
  httplib::Client client("127.0.0.1", port);
  const json neuron{{"x", {{0.5}}},
                    {"y", {{1.0}}},
                    {"layers", {{{"w", {{0.4}}}, {"b", {0.1}}}}},
                    {"activation", "sigmoid"},
                    {"steps", 1},
                    {"lr", 0.1}};
  const auto answer = client.Post("/pass", neuron.dump(), "application/json");
  if (!answer || answer->status != 200) return 1;
  const json pass = json::parse(answer->body);
  fmt::print("loss {:.4f}, after a step {:.4f}, w {:.4f}\n", pass["history"][0].get<double>(),
             pass["loss"].get<double>(), pass["layers"][0]["w"][0][0].get<double>());
  const auto wrong = client.Post("/pass", "{", "application/json");
  const auto page = client.Get("/");
  return wrong && wrong->status == 400 && page && page->status == 200 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::ifstream file(XGRAD_EXAMPLES "/playground/page.html");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  httplib::Server server;
  server.set_payload_max_length(1 << 20);
  server.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
    if (is_local(request)) return httplib::Server::HandlerResponse::Unhandled;
    response.status = 403;
    return httplib::Server::HandlerResponse::Handled;
  });
  server.Get("/", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content(page, "text/html; charset=utf-8");
  });
  server.Post("/pass", answering(playground::answer));
  server.Post("/initial", answering(playground::initial));
  const int port = server.bind_to_any_port("127.0.0.1");
  if (page.empty() || port < 0) return 1;
  fmt::print("http://127.0.0.1:{}/\n", port);
  std::fflush(stdout);
  if (argc < 2 || argv[1] != std::string_view("--once")) return server.listen_after_bind() ? 0 : 1;
  std::thread listening([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  const int result = ask_once(port);
  server.stop();
  listening.join();
  return result;
}
