/* sanitize.h - what the sanitizers and valgrind have to be told about stacks of our own, and a
 * coverage build about a process that leaves without exit(3). */
#ifndef RT_SANITIZE_H
#define RT_SANITIZE_H

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define WITH_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define WITH_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
#define WITH_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define WITH_TSAN 0
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(a, b) 0
#define VALGRIND_STACK_DEREGISTER(id) (void)(id)
#define RUNNING_ON_VALGRIND           0
#endif

/* Before _exit and exec: the counts of this process would be lost with it. */
#ifdef COVERAGE
void __gcov_dump(void);
void __gcov_reset(void);
#define COUNTS_WRITE() (__gcov_dump(), __gcov_reset())
#else
#define COUNTS_WRITE() (void)0
#endif

#endif
