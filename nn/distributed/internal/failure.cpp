#include "nn/distributed/internal/failure.hpp"

#include "autograd/core/errors.hpp"

namespace nn::distributed {

void detail::share_failure(const World& world, const char* duty,
                           const std::exception_ptr& failure) {
  throw_failures(world, duty, failure, world.gather(std::int64_t{failure != nullptr}));
}

void detail::throw_failures(const World& world, const char* duty, const std::exception_ptr& failure,
                            const std::vector<std::int64_t>& failed) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const ag::Error& e) {
    if (world.size() == 1) throw;
    ag::fail(world.str(), "{}", e.what());
  }
  for (std::size_t r = 0; r < failed.size(); ++r)
    if (failed[r] != 0)
      ag::fail(world.str(), "every rank must {}, but rank {} threw; its exception says why", duty,
               r);
}

}  // namespace nn::distributed
