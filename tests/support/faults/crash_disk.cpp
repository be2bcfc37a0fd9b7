// SPDX-License-Identifier: Apache-2.0
#include "tests/support/faults/crash_disk.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

namespace msp::faults {
namespace {

constexpr std::size_t kSector = 512;

[[noreturn]] void missed(const std::string& what, const std::string& path) {
  std::fprintf(stderr, "the journal does not fit the directory: %s %s\n", what.c_str(), path.c_str());
  std::abort();
}

void demand(bool good, const std::string& what, const std::string& path) {
  if (!good) {
    missed(what, path);
  }
}

mode_t mode_of(const std::string& path) {
  struct stat st{};
  demand(::lstat(path.c_str(), &st) == 0, "stat", path);
  return st.st_mode & 07777;
}

}  // namespace

struct CrashDisk::File {
  struct Change {
    std::size_t at = 0;
    std::string bytes;
    bool truncates = false;
  };
  static void apply(std::string& content, const Change& change) {
    if (change.truncates) {
      content.resize(change.at);
    } else {
      content.resize(std::max(content.size(), change.at + change.bytes.size()));
      std::copy(change.bytes.begin(), change.bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(change.at));
    }
  }
  void change(Change change) {
    apply(now, change);
    pending.push_back(std::move(change));
  }
  void sync() {
    synced = now;
    pending.clear();
  }
  std::string left(Left kind, std::minstd_rand& random) const {
    if (kind == Left::kNothing || kind == Left::kNames) {
      return synced;
    }
    return kind == Left::kSome ? some(random) : now;
  }
  /// Sectors are written whole, in any order.
  std::string some(std::minstd_rand& random) const {
    std::string content = synced;
    for (const Change& change : pending) {
      if (change.truncates) {
        if (random() % 2 == 0) {
          apply(content, change);
        }
        continue;
      }
      for (std::size_t from = 0; from < change.bytes.size();) {
        const std::size_t end =
            std::min(change.bytes.size(), (((change.at + from) / kSector + 1) * kSector) - change.at);
        if (random() % 2 == 0) {
          apply(content, {.at = change.at + from, .bytes = change.bytes.substr(from, end - from)});
        }
        from = end;
      }
    }
    return content;
  }

  std::string synced;
  std::string now;
  std::vector<Change> pending;
};

struct CrashDisk::Directory {
  using Names = std::map<std::string, std::shared_ptr<Node>>;
  /// A rename within the directory is one change.
  struct Change {
    std::string gone;
    std::string come;
    std::shared_ptr<Node> node;
  };
  static void apply(Names& names, const Change& change) {
    names.erase(change.gone);
    if (!change.come.empty()) {
      names[change.come] = change.node;
    }
  }
  void change(Change change) {
    apply(now, change);
    pending.push_back(std::move(change));
  }
  void sync() {
    synced = now;
    pending.clear();
  }
  Names left(Left kind, std::minstd_rand& random) const {
    if (kind == Left::kNothing || kind == Left::kBytes) {
      return synced;
    }
    if (kind != Left::kSome) {
      return now;
    }
    Names names = synced;
    const std::size_t count = random() % (pending.size() + 1);
    for (std::size_t i = 0; i < count; ++i) {
      apply(names, pending[i]);
    }
    return names;
  }

  Names synced;
  Names now;
  std::vector<Change> pending;
};

/// Modes are taken as they are: no promise of ours hangs on when they reach the disk.
struct CrashDisk::Node {
  std::optional<File> file;
  Directory directory;
  mode_t mode = 0;
};

struct CrashDisk::Open {
  std::shared_ptr<Node> node;
  std::size_t position = 0;
  bool appends = false;
};

CrashDisk::CrashDisk(const std::string& directory) : root_(std::make_shared<Node>()) {
  const auto take = [](const auto& self, Node& node, const std::string& path) -> void {
    node.mode = mode_of(path);
    if (std::filesystem::is_directory(path)) {
      for (const auto& entry : std::filesystem::directory_iterator(path)) {
        const auto child = node.directory.now[entry.path().filename()] = std::make_shared<Node>();
        self(self, *child, entry.path());
      }
      node.directory.sync();
      return;
    }
    std::ifstream file(path, std::ios::binary);
    node.file.emplace().now.assign(std::istreambuf_iterator<char>(file), {});
    node.file->sync();
  };
  take(take, *root_, directory);
}

CrashDisk::~CrashDisk() = default;

std::shared_ptr<CrashDisk::Node> CrashDisk::find(const std::string& path) const {
  auto node = root_;
  for (const auto& part : std::filesystem::path(path)) {
    if (part == "." || part.empty()) {
      continue;
    }
    const auto found = node->directory.now.find(part);
    if (found == node->directory.now.end()) {
      return nullptr;
    }
    node = found->second;
  }
  return node;
}

CrashDisk::Directory& CrashDisk::parent_of(const std::string& path, std::string& name) const {
  const std::filesystem::path full(path);
  name = full.filename();
  const auto parent = find(full.parent_path());
  demand(parent != nullptr && !parent->file, "no directory of", path);
  return parent->directory;
}

void CrashDisk::open(const Event& event) {
  auto node = find(event.path);
  if (node == nullptr) {
    demand((event.number & O_CREAT) != 0, "opening the unknown", event.path);
    node = std::make_shared<Node>();
    node->file.emplace();
    node->mode = event.mode;
    std::string name;
    Directory& parent = parent_of(event.path, name);
    parent.change({.gone = {}, .come = name, .node = node});
  }
  if ((event.number & O_TRUNC) != 0 && !node->file->now.empty()) {
    node->file->change({.at = 0, .bytes = {}, .truncates = true});
  }
  open_[event.fd] = {.node = node, .position = 0, .appends = (event.number & O_APPEND) != 0};
}

void CrashDisk::write(const Event& event) {
  Open& open = open_.at(event.fd);
  File& file = *open.node->file;
  std::size_t at = open.appends ? file.now.size() : open.position;
  if (event.number >= 0) {
    at = static_cast<std::size_t>(event.number);
  } else {
    open.position = at + event.text.size();
  }
  file.change({.at = at, .bytes = event.text});
}

void CrashDisk::rename(const Event& event) {
  const auto node = find(event.path);
  demand(node != nullptr, "renaming the unknown", event.path);
  std::string from;
  std::string to;
  Directory& from_directory = parent_of(event.path, from);
  Directory& to_directory = parent_of(event.text, to);
  if (&from_directory == &to_directory) {
    from_directory.change({.gone = from, .come = to, .node = node});
  } else {
    to_directory.change({.gone = {}, .come = to, .node = node});
    from_directory.change({.gone = from, .come = {}, .node = {}});
  }
}

void CrashDisk::apply(const Event& event) {
  std::string name;
  switch (event.kind) {
    case Event::Kind::kOpen:
      open(event);
      break;
    case Event::Kind::kClose:
      open_.erase(event.fd);
      break;
    case Event::Kind::kWrite:
      write(event);
      break;
    case Event::Kind::kTruncate:
      open_.at(event.fd).node->file->change(
          {.at = static_cast<std::size_t>(event.number), .bytes = {}, .truncates = true});
      break;
    case Event::Kind::kSync:
      if (Node& node = *open_.at(event.fd).node; node.file) {
        node.file->sync();
      } else {
        node.directory.sync();
      }
      break;
    case Event::Kind::kRename:
      rename(event);
      break;
    case Event::Kind::kUnlink:
      demand(find(event.path) != nullptr, "removing the unknown", event.path);
      parent_of(event.path, name)
          .change({.gone = std::filesystem::path(event.path).filename(), .come = {}, .node = {}});
      break;
    case Event::Kind::kMkdir: {
      auto node = std::make_shared<Node>();
      node->mode = event.mode;
      Directory& parent = parent_of(event.path, name);
      parent.change({.gone = {}, .come = name, .node = std::move(node)});
      break;
    }
    case Event::Kind::kChmod:
      open_.at(event.fd).node->mode = event.mode;
      break;
    case Event::Kind::kMark:
      break;
  }
}

void CrashDisk::leave(const Node& node, const std::string& to, Left left, std::minstd_rand& random) {
  if (node.file) {
    std::ofstream file(to, std::ios::binary);
    file << node.file->left(left, random);
    demand(file.flush().good(), "writing", to);
  } else {
    std::filesystem::create_directory(to);
    for (const auto& [name, child] : node.directory.left(left, random)) {
      leave(*child, to + "/" + name, left, random);
    }
  }
  demand(::chmod(to.c_str(), node.mode) == 0, "changing the mode of", to);
}

void CrashDisk::leave(const std::string& to, Left left, std::minstd_rand& random, const std::string& only) const {
  if (only.empty()) {
    leave(*root_, to, left, random);
    return;
  }
  for (const auto& [name, child] : root_->directory.now) {
    leave(*child, to + "/" + name, name == only ? left : Left::kEverything, random);
  }
}

std::size_t CrashDisk::unsynced() const {
  const auto count = [](const auto& self, const Node& node) -> std::size_t {
    std::size_t found = node.directory.pending.size() + (node.file ? node.file->pending.size() : 0);
    for (const auto& [name, child] : node.directory.now) {
      found += self(self, *child);
    }
    return found;
  };
  return count(count, *root_);
}

}  // namespace msp::faults
