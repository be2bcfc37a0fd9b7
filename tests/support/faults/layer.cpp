// SPDX-License-Identifier: Apache-2.0
#include "tests/support/faults/layer.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>

namespace msp::faults {
namespace {

/// The next one's: the layer must not see itself.
template <class F>
F* next_of(F* /*type*/, const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

int open_unseen(const char* path, int flags) {
  return path == nullptr ? -1 : next_of(&::openat, "openat")(AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

/// A preloaded process that cannot be told what to do must not run as if nothing were wrong.
void demand(bool good) {
  if (!good) {
    std::abort();
  }
}

}  // namespace

constinit std::atomic<bool> Layer::active_ = false;

Layer& Layer::get() {
  static auto* const layer = std::make_unique<Layer>().release();
  return *layer;
}

__attribute__((constructor)) static void configure_from_environment() {
  const char* root = ::getenv("MSP_FAULTS_UNDER");
  if (root != nullptr) {
    Layer::get().configure(root, ::getenv("MSP_FAULTS_PLAN"), ::getenv("MSP_FAULTS_JOURNAL"));
  }
}

void Layer::configure(const char* root, const char* plan_file, const char* journal_file) {
  in_memory_ = false;
  if (plan_file != nullptr) {
    const int fd = open_unseen(plan_file, O_RDWR);
    demand(fd >= 0);
    void* shared = ::mmap(nullptr, sizeof(Plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    demand(shared != MAP_FAILED);
    plan = static_cast<Plan*>(shared);
  }
  if (journal_file != nullptr) {
    journal_ = open_unseen(journal_file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
    demand(journal_ >= 0);
  }
  root_ = root;
  active_.store(true, std::memory_order_release);
}

void Layer::watch(std::string root) {
  root_ = std::move(root);
  *plan = {};
  calls.clear();
  kinds.clear();
  events.clear();
  paths_.fill({});
  open = 0;
  active_.store(!root_.empty(), std::memory_order_release);
}

std::string Layer::path_of(int fd) const {
  return fd >= 0 && static_cast<std::size_t>(fd) < paths_.size() ? paths_[static_cast<std::size_t>(fd)] : std::string();
}

std::string Layer::path_of(int at, const char* name) const {
  const std::string_view text = name;
  std::string full(text);
  if (!text.starts_with('/')) {
    // Relative to the working directory: no program of ours works in the watched one.
    const std::string directory = path_of(at);
    if (directory.empty()) {
      return {};
    }
    full = directory + "/" + full;
  }
  if (!full.starts_with(root_)) {
    return {};
  }
  full = std::filesystem::path(full).lexically_normal().string();
  while (full.size() > 1 && full.back() == '/') {
    full.pop_back();
  }
  return full == root_ || full.starts_with(root_ + "/") ? full : std::string();
}

void Layer::opened(int fd, std::string path) {
  demand(static_cast<std::size_t>(fd) < paths_.size());
  paths_[static_cast<std::size_t>(fd)] = std::move(path);
  ++open;
}

void Layer::closed(int fd) {
  paths_[static_cast<std::size_t>(fd)].clear();
  --open;
}

std::string Layer::relative(const std::string& path) const {
  return path.size() > root_.size() ? path.substr(root_.size() + 1) : std::string(".");
}

Effect Layer::next(Call kind, const char* name, const std::string& path) {
  const std::uint64_t number = plan->seen++;
  if (in_memory_) {
    calls.push_back(std::string(name) + " " + relative(path));
    kinds.push_back(kind);
  }
  const bool meant = plan->from_there_on != 0 ? number >= plan->at : number == plan->at;
  if (plan->effect == kNone || !meant || (plan->calls & kind) == 0) {
    return kNone;
  }
  ++plan->hit;
  if (plan->effect == kDie) {
    ::kill(::getpid(), SIGKILL);
  }
  return static_cast<Effect>(plan->effect);
}

void Layer::note(Event event) {
  if (in_memory_) {
    events.push_back(std::move(event));
  } else if (journal_ >= 0) {
    const std::string bytes = encode(event);
    const ssize_t written = next_of(&::write, "write")(journal_, bytes.data(), bytes.size());
    demand(written == static_cast<ssize_t>(bytes.size()));
  }
}

Operation::Operation(Call kind, const char* name, int fd) {
  if (Layer::active()) {
    Layer& layer = Layer::get();
    layer.lock.lock();
    locked_ = true;
    path_ = layer.path_of(fd);
    begin(kind, name);
  }
}

Operation::Operation(Call kind, const char* name, int at, const char* path) {
  if (Layer::active()) {
    Layer& layer = Layer::get();
    layer.lock.lock();
    locked_ = true;
    path_ = layer.path_of(at, path);
    begin(kind, name);
  }
}

void Operation::begin(Call kind, const char* name) {
  if (path_.empty()) {
    // Not ours: it may block, and others must not wait for it.
    Layer::get().lock.unlock();
    locked_ = false;
    return;
  }
  effect_ = Layer::get().next(kind, name, path_);
}

Operation::~Operation() {
  if (locked_) {
    Layer::get().lock.unlock();
  }
}

bool Operation::fails() const {
  if (effect_ != kFail) {
    return false;
  }
  errno = static_cast<int>(Layer::get().plan->error);
  return true;
}

std::size_t Operation::cut(std::size_t size) const {
  return effect_ == kShort ? std::max<std::size_t>(size / 2, std::min<std::size_t>(size, 1)) : size;
}

void Operation::note(Event event) const {
  if (watched()) {
    const int kept = errno;
    Layer::get().note(std::move(event));
    errno = kept;
  }
}

void watch(const std::string& directory) { Layer::get().watch(directory); }
Plan& plan() { return *Layer::get().plan; }
const std::vector<std::string>& calls() { return Layer::get().calls; }
const std::vector<Call>& kinds() { return Layer::get().kinds; }
std::size_t open_descriptors() { return Layer::get().open; }
const std::vector<Event>& journal() { return Layer::get().events; }
void mark(const std::string& text) { Layer::get().note({.kind = Event::Kind::kMark, .path = {}, .text = text}); }

}  // namespace msp::faults
