// SPDX-License-Identifier: Apache-2.0
#include "gateway/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>

#include "base/clock.h"
#include "base/file.h"
#include "gateway/inventory.h"
#include "gateway/key_ring.h"
#include "gateway/master_key.h"
#include "gateway/model_text.h"
#include "gateway/scale_set.h"
#include "gateway/sqlite_store.h"
#include "gateway/state_lock.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kMostBytes = std::size_t{4} << 30;
constexpr json::Options kModel{.max_bytes = std::size_t{16} << 20, .max_nodes = 2'000'000};

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Error foreign_master(std::string_view what) {
  return config_error(
      fmt::format("the {} was made with another master key", what),
      "use the master key that was kept with it, and keep the one that is there: other backups need it");
}

/// Why a file is none; empty: it looks like one. An empty file would be taken for a database that is to be made.
std::string_view why_no_backup(std::string_view bytes) {
  constexpr std::size_t kHeader = 100;  // https://www.sqlite.org/fileformat2.html 1.3; the application's id at 68
  constexpr std::size_t kIdAt = 68;
  if (bytes.find_first_not_of('\0') == std::string_view::npos) {
    return "it is empty";
  }
  if (bytes.size() < kHeader || !bytes.starts_with("SQLite format 3")) {
    return "it is no database";
  }
  std::uint32_t id = 0;  // big-endian
  for (const char c : bytes.substr(kIdAt, sizeof(id))) {
    id = id << 8U | static_cast<unsigned char>(c);
  }
  if (id == 0) {
    return "it was never written to, or is a database of another program";
  }
  return id == static_cast<std::uint32_t>(kApplicationId) ? "" : "it is a database of another program";
}

/// The advice of the database is for the one in the state directory, of which nothing is lost here.
Error about_the_backup(Error error, const std::string& backup) {
  if (error.code == kDamaged) {
    error.hint = "take another backup: nothing was changed";
  }
  return std::move(error).context("backup " + backup);
}

/// A copy of the backup that may be changed; what an earlier try left behind goes.
Result<std::unique_ptr<HostStore>> open_copy(const std::string& backup, const std::string& path) {
  auto bytes = file::read(backup, file::configuration(), kMostBytes);
  if (!bytes) {
    return std::move(bytes).error().context("backup");
  }
  if (const std::string_view why = why_no_backup(*bytes); !why.empty()) {
    return config_error(fmt::format("{} is no backup of msp-host: {}", backup, why),
                        "name the file that 'mspctl host backup' has written: nothing was changed");
  }
  for (const std::string_view more : {"", "-wal", "-shm"}) {
    if (auto gone = file::remove(fmt::format("{}{}", path, more)); !gone) {
      return std::move(gone).error();
    }
  }
  if (auto written = file::replace(path, *bytes); !written) {
    return std::move(written).error();
  }
  auto store = open_sqlite_store(path);
  if (!store) {
    return about_the_backup(std::move(store).error(), backup);
  }
  return store;
}

/// Why the database that is there cannot say what became of the keys; nothing: it can.
Result<std::string> why_lost(const std::string& path, const Secret& master) {
  if (!is_there(path)) {
    return std::string("there is no database");
  }
  if (is_blank_database(path)) {
    return std::string("it is empty");
  }
  auto present = open_sqlite_store(path);
  if (!present) {
    // One that is sound, but not for this program, is not lost.
    if (present.error().code == EBUSY || present.error().source == Source::kConfig) {
      return std::move(present).error();
    }
    return present.error().message;
  }
  auto good = fits(**present, master);
  if (!good) {
    return good.error().message;
  }
  return *good ? std::string() : std::string("it was made with another master key");
}

/// A key that was reset since the backup stays reset: its model says so as well.
Result<std::size_t> raise_incarnations(HostStore& store) {
  auto resources = store.resources();
  if (!resources) {
    return std::move(resources).error();
  }
  std::map<std::string, ProxyAgentSettings> sets;
  json::Problems ignored({}, "resource");
  for (const StoredResource& resource : *resources) {
    const auto tree = json::parse(resource.text, kModel);
    if (tree && resource.name.kind == ResourceKind::kScaleSet) {
      sets[resource.name.key] = read_scale_set(*tree, ignored).proxy_agent;
    }
  }
  ModelChange change;
  for (StoredResource& resource : *resources) {
    if (resource.name.kind != ResourceKind::kVirtualMachine) {
      continue;
    }
    const auto tree = json::parse(resource.text, kModel);
    const auto known = store.incarnation(resource.name.key);
    if (!tree || !known) {
      return tree ? known.error() : tree.error();
    }
    ProxyAgentSettings settings = read_model(*tree, {}, ignored).proxy_agent;
    if (const auto set = sets.find(scale_set_of(*tree)); set != sets.end()) {
      settings = settings_of_instance(set->second, settings);
    }
    if (known->value_or(0) > settings.key_incarnation_id) {
      resource.text = with_own_incarnation(resource.text, *tree, **known);
      change.put.push_back(std::move(resource));
    }
  }
  const std::size_t raised = change.put.size();
  if (auto stored = store.change(change); !stored) {
    return std::move(stored).error();
  }
  return raised;
}

/// What the next start does with it: what would refuse that refuses the restore.
Result<void> try_it(const Config& config, HostStore& store, Secret master, Restored& out) {
  auto inventory = Inventory::load(config);
  if (!inventory) {
    return std::move(inventory).error();
  }
  if (auto opened = (*inventory)->open(store); !opened) {
    return opened;
  }
  const SystemClock clock;
  auto keys = KeyRing::open(store, std::move(master), (*inventory)->registry(), clock, config.limits.pending_keys);
  if (!keys) {
    return std::move(keys).error();
  }
  for (const auto& vm : (*inventory)->registry().all()) {
    ++out.machines;
    out.latched += vm->latched != nullptr ? 1 : 0;
  }
  return {};
}

Result<void> rename(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) == 0 ? Result<void>()
                                                    : errno_error(fmt::format("rename {} to {}", from, to));
}

/// The old one is kept beside it. Its log must be gone before another database has its name: SQLite would play it back.
Result<void> exchange(const std::string& copy, const std::string& path, Restored& out) {
  const std::string old = path + ".before-restore";
  for (const char* more : {"", "-wal", "-shm"}) {
    if (auto gone = file::remove(old + more); !gone) {
      return gone;
    }
  }
  // Also where the database itself is gone.
  for (const char* more : {"-wal", "-shm"}) {
    if (is_there(path + more)) {
      if (auto moved = rename(path + more, old + more); !moved) {
        return moved;
      }
    }
  }
  if (is_there(path)) {
    out.old_database = old;
    // A second name, not a move: at no moment is there no database, from which a host would begin anew.
    if (::link(path.c_str(), out.old_database.c_str()) != 0) {
      return errno_error("keep the old database as " + out.old_database);
    }
  }
  if (auto moved = rename(copy, path); !moved) {
    return moved;
  }
  const Fd directory(::open(path.substr(0, path.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return directory && ::fsync(directory.get()) == 0 ? Result<void>() : errno_error("sync the state directory");
}

}  // namespace

Result<Restored> restore(const Config& config, const std::string& backup) {
  const std::string path = config.database();
  const std::string copy = path + ".restore";
  if (auto made = file::ensure_directory(config.state_directory, 0700); !made) {
    return std::move(made).error().context("stateDirectory");
  }
  // The database may have been moved away from under a host that runs and would go on with it.
  const auto state = hold_state_directory(config.state_directory);
  if (!state) {
    return state.error();
  }
  auto master = load_master_key(config, false);
  if (!master) {
    return std::move(master).error();
  }
  Restored out;
  auto lost = why_lost(path, *master);
  if (!lost) {
    return std::move(lost).error();
  }
  out.why_lost = std::move(*lost);
  auto store = open_copy(backup, copy);
  if (!store) {
    return std::move(store).error();
  }
  auto good = fits(**store, *master);
  if (!good) {
    return std::move(good).error();
  }
  if (!*good) {
    return foreign_master("backup");
  }
  if (auto keys = out.why_lost.empty() ? (*store)->take_keys_of(path) : (*store)->end_all_keys(); !keys) {
    return std::move(keys).error();
  }
  auto raised = raise_incarnations(**store);
  if (!raised) {
    return std::move(raised).error();
  }
  out.raised = *raised;
  if (auto tried = try_it(config, **store, std::move(*master), out); !tried) {
    return std::move(tried).error().context("the backup would not start");
  }
  store->reset();
  if (auto exchanged = exchange(copy, path, out); !exchanged) {
    return std::move(exchanged).error();
  }
  return out;
}

}  // namespace msp::gateway
