// SPDX-License-Identifier: Apache-2.0
// A layer under the programs' file calls: it counts them, fails those it is told to, and keeps a journal of what was
// done to the disk. libmsp_file_faults.so stands before libc, so that the product has no hook: a test links it, a real
// program gets it by LD_PRELOAD.
// One per process; any thread, calls under the watched directory are taken one after the other.
// Only what lies under the watched directory is concerned; everything else passes through untouched.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#define MSP_FAULTS_API __attribute__((visibility("default")))

namespace msp::faults {

/// Kinds of calls, as bits of Plan::calls.
enum Call : std::uint32_t {
  kOpen = 1U << 0,    ///< for reading
  kCreate = 1U << 1,  ///< for writing, or creating
  kClose = 1U << 2,
  kRead = 1U << 3,
  kWrite = 1U << 4,
  kSync = 1U << 5,  ///< of a file or of a directory
  kRename = 1U << 6,
  kUnlink = 1U << 7,
  kMkdir = 1U << 8,
  kTruncate = 1U << 9,
  kStat = 1U << 10,
  kChange = 1U << 11,  ///< mode or owner
  kList = 1U << 12,    ///< reading a directory
  kNotify = 1U << 13,  ///< inotify
};
inline constexpr std::uint32_t kEveryCall = (1U << 14) - 1;
/// What takes space on the disk.
inline constexpr std::uint32_t kTakesSpace = kCreate | kWrite | kSync | kRename | kMkdir | kTruncate;
/// What changes the disk.
inline constexpr std::uint32_t kChangesDisk = kCreate | kWrite | kRename | kUnlink | kMkdir | kTruncate | kChange;

enum Effect : std::uint32_t {
  kNone = 0,
  kFail = 1,     ///< nothing is done, the call fails with Plan::error
  kShort = 2,    ///< reads and writes move half of the bytes, at least one
  kNothing = 3,  ///< a write takes no byte and says so
  kDie = 4,      ///< SIGKILL, before anything is done
};

/// What shall happen. Also the layout of the file that MSP_FAULTS_PLAN names: a test maps or writes it while the
/// program runs, `effect` last.
struct Plan {
  std::uint32_t effect = kNone;
  std::uint32_t error = 0;  ///< errno
  std::uint32_t calls = kEveryCall;
  std::uint32_t from_there_on = 0;  ///< 0: only call number `at`; 1: that and all later ones
  std::uint64_t at = 0;             ///< number of a call, from 0
  std::uint64_t seen = 0;           ///< calls counted so far, whatever their kind
  std::uint64_t hit = 0;            ///< calls that were not left alone
};

/// One thing done to the disk, or a mark of the test. Paths are relative to the watched directory.
struct Event {
  enum class Kind : std::uint8_t { kOpen, kClose, kWrite, kTruncate, kSync, kRename, kUnlink, kMkdir, kChmod, kMark };
  Kind kind = Kind::kMark;
  std::int32_t fd = -1;
  std::int64_t number = 0;  ///< kOpen: flags; kWrite: place, -1 where the descriptor stands; kTruncate: size
  std::uint32_t mode = 0;   ///< kOpen, kMkdir, kChmod
  std::string path;         ///< empty where the descriptor tells
  std::string text;         ///< bytes written, new name, what a mark says
};

/// Starts anew: forgets counts, descriptors and journal. `directory` is an absolute path without links; empty: off.
MSP_FAULTS_API void watch(const std::string& directory);
MSP_FAULTS_API Plan& plan();
/// Calls seen since watch(), as "fsync keys/.a.tmp".
MSP_FAULTS_API const std::vector<std::string>& calls();
/// Their kinds.
MSP_FAULTS_API const std::vector<Call>& kinds();
/// Open descriptors of what lies under the directory.
MSP_FAULTS_API std::size_t open_descriptors();
MSP_FAULTS_API const std::vector<Event>& journal();
/// Says in the journal what the program has promised by now.
MSP_FAULTS_API void mark(const std::string& text);

/// The form in the file that MSP_FAULTS_JOURNAL names.
MSP_FAULTS_API std::string encode(const Event& event);
/// Takes one event from the front; false at the end, also of an event that was cut.
MSP_FAULTS_API bool decode(std::string_view& bytes, Event& event);

}  // namespace msp::faults
