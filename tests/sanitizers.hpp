#pragma once

/// Which sanitizer the tests are compiled with, whatever a compiler calls it: 0 or 1.
#if defined(__SANITIZE_ADDRESS__)
#define XGRAD_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define XGRAD_UNDER_ASAN 1
#endif
#endif
#ifndef XGRAD_UNDER_ASAN
#define XGRAD_UNDER_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define XGRAD_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define XGRAD_UNDER_TSAN 1
#endif
#endif
#ifndef XGRAD_UNDER_TSAN
#define XGRAD_UNDER_TSAN 0
#endif
