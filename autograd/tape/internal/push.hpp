#pragma once

#include <set>
#include <string>

#include "autograd/tape/internal/tape.hpp"

/// Derivatives along directions, by a walk forward over the tape. Not installed for users.
namespace autograd::internal {

/// A gradient on the way is not differentiable, and its operation has no rule for tangents.
struct LeavesTape : Error {
  using Error::Error;
};

/// Whether a walk forward is recorded. `as_needed`: if something else than the inputs requires a
/// gradient, or what they are aliases of.
enum class Record { never, as_needed, always };

/// Tangents of `outputs` where `inputs`, of which none depends on another, have these (undefined:
/// zero). Errors are those of `op`; throws LeavesTape.
TensorList push(std::string_view op, const TensorList& outputs, const TensorList& inputs,
                const TensorList& tangents, Record record);

}  // namespace autograd::internal
