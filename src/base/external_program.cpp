// SPDX-License-Identifier: Apache-2.0
#include "base/external_program.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/fd.h"

namespace msp {
namespace {

/// What the child's descriptors become.
class Actions {
 public:
  Actions() { ::posix_spawn_file_actions_init(&actions_); }
  ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;

  void lead(int from, int to) { ::posix_spawn_file_actions_adddup2(&actions_, from, to); }
  void drop(int fd, int flags) { ::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", flags, 0); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

Result<pid_t> spawn(const std::vector<std::string>& words, const Actions& actions) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) {
    argv.push_back(const_cast<char*>(word.c_str()));  // NOLINT(cppcoreguidelines-pro-type-const-cast): POSIX's shape
  }
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (const int failed = ::posix_spawn(&pid, argv[0], actions.get(), nullptr, argv.data(), environ); failed != 0) {
    return errno_error(fmt::format("cannot run {}", words[0]), failed);
  }
  return pid;
}

Result<int> wait_for(pid_t pid, const std::string& name) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) {
      return errno_error(fmt::format("waiting for {}", name));
    }
  }
  if (!WIFEXITED(status)) {
    return errno_error(fmt::format("{} was ended by signal {}", name, WTERMSIG(status)), ECHILD);
  }
  return WEXITSTATUS(status);
}

/// False: there was more.
bool read_up_to(const Fd& from, std::size_t most, std::string& out) {
  std::array<char, 4096> chunk{};
  for (;;) {
    const ssize_t n = ::read(from.get(), chunk.data(), chunk.size());
    if (n == 0 || (n < 0 && errno != EINTR)) {
      return true;
    }
    out.append(chunk.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    if (out.size() > most) {
      return false;
    }
  }
}

}  // namespace

Result<int> run_program(const std::vector<std::string>& words, Output output) {
  Actions actions;
  actions.drop(STDIN_FILENO, O_RDONLY);
  if (output == Output::kDropped) {
    actions.drop(STDOUT_FILENO, O_WRONLY);
    actions.drop(STDERR_FILENO, O_WRONLY);
  }
  auto pid = spawn(words, actions);
  return pid ? wait_for(*pid, words[0]) : Result<int>(std::move(pid).error());
}

Result<ProgramSaid> read_program(const std::vector<std::string>& words, std::size_t most) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return errno_error("pipe");
  }
  Fd from(ends[0]);
  Fd to(ends[1]);
  Actions actions;
  actions.drop(STDIN_FILENO, O_RDONLY);
  actions.lead(to.get(), STDOUT_FILENO);
  auto pid = spawn(words, actions);
  to.reset();
  if (!pid) {
    return std::move(pid).error();
  }
  ProgramSaid said;
  const bool all = read_up_to(from, most, said.out);
  from.reset();  // one that goes on writing ends by it
  auto code = wait_for(*pid, words[0]);
  if (!all) {
    return config_error(fmt::format("{} writes more than {} bytes", words[0], most));
  }
  if (!code) {
    return std::move(code).error();
  }
  said.exit_code = *code;
  return said;
}

}  // namespace msp
