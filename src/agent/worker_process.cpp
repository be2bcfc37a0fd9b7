// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <semaphore>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace msp::agent {
namespace {

constexpr int kLink = 3;
constexpr std::string_view kName = "openmsp";
// Between what Debian gives out on demand and what systemd gives to services for the time that they run.
constexpr std::uint32_t kNobodys = 61'100;

std::optional<WorkerUser> find_user(const std::string& name) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    return std::nullopt;
  }
  return WorkerUser{.uid = found->pw_uid, .gid = found->pw_gid};
}

class Spawning {
 public:
  Spawning() {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawnattr_init(&attributes_);
  }
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;
  ~Spawning() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  int run(pid_t& pid, const Fd& program, const Fd& link, const Fd& errors) {
    ::posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&files_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files_, errors.get(), STDERR_FILENO);
    ::posix_spawn_file_actions_adddup2(&files_, link.get(), kLink);
    // The monitor hears its signals by a descriptor, so they are blocked in it.
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
    std::string name = "msp-worker";
    std::array<char*, 2> arguments = {name.data(), nullptr};
    std::array<char*, 1> environment = {nullptr};
    return ::posix_spawn(&pid, fmt::format("/proc/self/fd/{}", program.get()).c_str(), &files_, &attributes_,
                         arguments.data(), environment.data());
  }

 private:
  posix_spawn_file_actions_t files_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

Result<WorkerUser> worker_user(const std::string& name) {
  const auto found = find_user(name.empty() ? std::string(kName) : name);
  if (!found && !name.empty()) {
    return config_error(fmt::format("there is no user '{}'", name), "make it, or leave openmsp.workerUser out");
  }
  if (found && (found->uid == 0 || found->gid == 0)) {
    return config_error("the worker's user must not be root, nor in its group", "choose another openmsp.workerUser");
  }
  return found.value_or(WorkerUser{.uid = kNobodys, .gid = kNobodys});
}

Result<Fd> open_worker_program() {
  std::error_code failure;
  const auto beside = std::filesystem::read_symlink("/proc/self/exe", failure).parent_path() / "msp-worker";
  for (const std::string& path : {beside.string(), std::string("/usr/libexec/openmsp/msp-worker")}) {
    Fd program(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (program || errno != ENOENT) {
      return program ? Result<Fd>(std::move(program)) : errno_error(path);
    }
  }
  return config_error("msp-worker is not there: neither beside this program nor in /usr/libexec/openmsp",
                      "install the whole package");
}

/// The thread by whose end the kernel knows that the monitor is gone. The last thread of a process that is killed
/// closes its files before it is gone, which takes up to seconds (inotify waits for the kernel), and a worker would
/// serve on meanwhile, without anybody to write its records: so this one holds no file.
class WorkerProcess::Parent {
 public:
  Parent(const Fd& program, const Fd& link, const Fd& errors)
      : thread_([&] {
          code_ = Spawning().run(pid_, program, link, errors);
          (void)::close_range(0, ~0U, CLOSE_RANGE_UNSHARE);
          started_.release();
          over_.acquire();
        }) {
    ::pthread_setname_np(thread_.native_handle(), "msp-parent");
    started_.acquire();
  }
  ~Parent() {
    over_.release();
    thread_.join();
  }
  Parent(const Parent&) = delete;
  Parent& operator=(const Parent&) = delete;
  int code() const { return code_; }
  pid_t pid() const { return pid_; }

 private:
  int code_ = 0;
  pid_t pid_ = -1;
  std::binary_semaphore started_{0};
  std::binary_semaphore over_{0};
  std::thread thread_;
};

WorkerProcess::WorkerProcess(pid_t pid, std::unique_ptr<Parent> parent) : pid_(pid), parent_(std::move(parent)) {}
WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), parent_(std::move(other.parent_)) {}
WorkerProcess::~WorkerProcess() { (void)end(0); }

Result<WorkerProcess> WorkerProcess::start(const Fd& program, const Fd& link, const Fd& errors) {
  auto parent = std::make_unique<Parent>(program, link, errors);
  if (parent->code() != 0) {
    return errno_error("cannot start msp-worker", parent->code());
  }
  const pid_t pid = parent->pid();
  return WorkerProcess(pid, std::move(parent));
}

void WorkerProcess::kill() const {
  if (pid_ > 0) {
    (void)::kill(pid_, SIGKILL);  // not reaped yet: the number is still its own
  }
}

std::string WorkerProcess::end(std::uint64_t patience_ms) {
  if (pid_ <= 0) {
    return "was not there";
  }
  int status = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= until) {
      kill();
      (void)::waitpid(pid_, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? fmt::format("ended by signal {}", WTERMSIG(status))
                             : fmt::format("ended with status {}", WEXITSTATUS(status));
}

}  // namespace msp::agent
