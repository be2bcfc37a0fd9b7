// SPDX-License-Identifier: Apache-2.0
#include "agent/external_program.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace msp::agent {
namespace {

/// What the child's descriptors become.
class Actions {
 public:
  Actions() { ::posix_spawn_file_actions_init(&actions_); }
  ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;

  void drop(int fd, int flags) { ::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", flags, 0); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

Result<int> run_program(const std::vector<std::string>& words, Output output) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) {
    argv.push_back(const_cast<char*>(word.c_str()));  // NOLINT(cppcoreguidelines-pro-type-const-cast): POSIX's shape
  }
  argv.push_back(nullptr);
  Actions actions;
  actions.drop(STDIN_FILENO, O_RDONLY);
  if (output == Output::kDropped) {
    actions.drop(STDOUT_FILENO, O_WRONLY);
    actions.drop(STDERR_FILENO, O_WRONLY);
  }
  pid_t pid = 0;
  if (const int failed = ::posix_spawn(&pid, argv[0], actions.get(), nullptr, argv.data(), environ); failed != 0) {
    return errno_error(fmt::format("cannot run {}", words[0]), failed);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) {
      return errno_error(fmt::format("waiting for {}", words[0]));
    }
  }
  if (!WIFEXITED(status)) {
    return errno_error(fmt::format("{} was ended by signal {}", words[0], WTERMSIG(status)), ECHILD);
  }
  return WEXITSTATUS(status);
}

}  // namespace msp::agent
