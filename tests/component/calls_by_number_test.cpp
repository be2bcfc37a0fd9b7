// SPDX-License-Identifier: Apache-2.0
// The fault layer stands before syscall(), too, which says nowhere how many arguments it got.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/fd.h"

namespace msp {
namespace {

// Where a sixth argument would be, the caller has something of its own: AddressSanitizer sees who reads it.
TEST(CallsByNumber, NothingIsReadThatWasNotPassed) {
  EXPECT_EQ(::syscall(SYS_getpid), ::getpid());
  std::array<char, 64> own{};
  EXPECT_EQ(::syscall(SYS_getcwd, own.data(), 1UL), -1);
  EXPECT_EQ(errno, ERANGE);
}

TEST(CallsByNumber, SixArgumentsArePassed) {
  const long page = ::sysconf(_SC_PAGESIZE);
  const Fd memory(::memfd_create("two pages", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(memory.get(), 2 * page), 0);
  ASSERT_EQ(::pwrite(memory.get(), "second", 6, page), 6);
  const long at = ::syscall(SYS_mmap, nullptr, page, PROT_READ, MAP_SHARED, memory.get(), page);
  ASSERT_NE(at, -1);
  EXPECT_EQ(std::string_view(std::bit_cast<const char*>(at), 6), "second");
  EXPECT_EQ(::munmap(std::bit_cast<void*>(at), static_cast<std::size_t>(page)), 0);
}

TEST(CallsByNumber, OfAFutexTheArgumentsAreThoseOfItsOperation) {
  std::uint32_t word = 0;
  const auto wait = [&](std::uint32_t bits) {
    EXPECT_EQ(::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 1, nullptr, nullptr, bits), -1);
    return errno;
  };
  EXPECT_EQ(wait(1), EAGAIN) << "the word is another";
  EXPECT_EQ(wait(0), EINVAL) << "no bit";
  EXPECT_EQ(::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1), 0);
}

}  // namespace
}  // namespace msp
