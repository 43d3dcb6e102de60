#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#pragma GCC visibility push(default)

/// What all readers and writers of files share.
namespace nn::detail {

/// Throws unless `path` is a name that the system can see whole: not empty, without a zero byte.
void check_path(const std::string& path);

/// A descriptor of an existing file, or -1 with the reason in errno. Does not wait for the other
/// end of a named pipe.
int open_to_read(const std::string& path);

/// "a directory", "a named pipe", …, for an error.
const char* kind_of(mode_t mode);

/// Where writing to `path` leads: the end of its links, whether that exists or not.
std::filesystem::path target_of(const std::string& path);

/// A new file beside `target` for what will take its place, locked as long as the descriptor is
/// open; its name tells whose it is. -1 with the reason in errno if it cannot be made.
int create_beside(const std::filesystem::path& target, std::filesystem::path& temporary);

/// Removes what killed writers to `path` left beside it; those that live hold a lock. Never throws.
void remove_dead_writers(const std::string& path) noexcept;

}  // namespace nn::detail

#pragma GCC visibility pop
