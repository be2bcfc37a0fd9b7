// SPDX-License-Identifier: Apache-2.0
#include "identity/exe_pins.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"

namespace msp::identity {
namespace {

/// Only such a path can be an executable's: the field compares texts, and no executable's name has a "..".
bool may_be_pinned(std::string_view path) {
  if (!path.starts_with('/') || path.contains('\0')) {
    return false;
  }
  for (std::size_t at = path.find("/.."); at != std::string_view::npos; at = path.find("/..", at + 1)) {
    if (at + 3 == path.size() || path[at + 3] == '/') {
      return false;
    }
  }
  return true;
}

}  // namespace

PinTable::Found PinTable::find(std::uint64_t inode, std::uint64_t time_ns, std::vector<std::string>& paths) const {
  const auto same = [&](const Entry& entry) { return inode != 0 && entry.pin.inode == inode; };
  if (std::ranges::none_of(entries_, same)) {
    return Found::kNone;
  }
  // One pin that was held before is enough for all paths of the file: a younger one beside it holds the same inode.
  if (std::ranges::none_of(entries_, [&](const Entry& e) { return same(e) && e.pin.since_ns < time_ns; })) {
    return Found::kYoung;
  }
  for (const Entry& entry : entries_) {
    if (same(entry)) {
      paths.push_back(entry.path);
    }
  }
  return Found::kPinned;
}

void ExePins::want(const std::vector<std::string>& paths) {
  std::vector<Wanted> next;
  next.reserve(paths.size());
  for (const std::string& path : paths) {
    const auto known = std::ranges::find(wanted_, path, &Wanted::path);
    if (known != wanted_.end()) {
      next.push_back(std::move(*known));
    } else if (may_be_pinned(path)) {
      next.push_back({.path = path, .pins = {}});
    }
  }
  wanted_ = std::move(next);
}

Result<Fd> ExePins::open_root() const {
  Fd root(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    Error error = errno_error("no rule with an exePath matches: cannot open the reference root " + root_);
    error.source = Source::kConfig;
    error.hint =
        "let the agent look at process 1 (CAP_SYS_PTRACE, and no fewer capabilities than it has), or name another "
        "directory in openmsp.referenceRoot";
    return error;
  }
  return root;
}

Fd open_rule_path(const Fd& root, const std::string& path) {
  if (!may_be_pinned(path)) {
    return {};
  }
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  Fd file(static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how))));
  struct stat seen{};
  if (file && (::fstat(file.get(), &seen) != 0 || !S_ISREG(seen.st_mode))) {
    file.reset();
  }
  return file;
}

bool ExePins::pin(Wanted& wanted, Fd file) {
  auto seen = files_.look_at(file.get());
  if (!seen) {
    complain(seen.error());
    return false;
  }
  // The newest pin is held: the same address is the same inode.
  if (!wanted.pins.empty() && wanted.pins.front().inode == seen->inode) {
    return false;
  }
  // What was there before and is there again counts from now on: in between anything may have happened.
  std::erase_if(wanted.pins, [&](const Pin& pin) { return pin.inode == seen->inode; });
  wanted.pins.push_front(
      {.inode = seen->inode, .since_ns = seen->seen_ns, .held = std::make_shared<const Fd>(std::move(file))});
  if (wanted.pins.size() > kKeptPerPath) {
    wanted.pins.pop_back();
  }
  return true;
}

bool ExePins::refresh() {
  if (wanted_.empty()) {
    return false;
  }
  auto root = open_root();
  if (!root) {
    complain(root.error());
    return false;
  }
  bool changed = false;
  for (Wanted& wanted : wanted_) {
    if (Fd file = open_rule_path(*root, wanted.path)) {
      changed = pin(wanted, std::move(file)) || changed;
    }
  }
  return changed;
}

std::shared_ptr<const PinTable> ExePins::table(std::uint64_t ticket) const {
  auto out = std::make_shared<PinTable>();
  out->ticket_ = ticket;
  out->idle_ = wanted_.empty();
  for (const Wanted& wanted : wanted_) {
    for (const Pin& pin : wanted.pins) {
      out->entries_.push_back({.path = wanted.path, .pin = pin});
    }
  }
  return out;
}

void ExePins::complain(const Error& error) {
  if (std::string text = error.text(); text != complaint_) {
    complaint_ = std::move(text);
    log::write(error);
  }
}

}  // namespace msp::identity
