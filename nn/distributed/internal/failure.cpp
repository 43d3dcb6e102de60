#include "nn/distributed/internal/failure.hpp"

#include "autograd/core/errors.hpp"

namespace nn::distributed {

void detail::share_failure(const World& world, const char* duty,
                           const std::exception_ptr& failure) {
  const auto all = world.gather(std::int64_t{failure != nullptr});
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const ag::Error& e) {
    if (world.size() == 1) throw;
    ag::fail(world.str(), "{}", e.what());
  }
  for (std::size_t r = 0; r < all.size(); ++r)
    if (all[r] != 0)
      ag::fail(world.str(), "every rank must {}, but rank {} threw; its exception says why", duty,
               r);
}

}  // namespace nn::distributed
