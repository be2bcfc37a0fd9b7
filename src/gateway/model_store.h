// SPDX-License-Identifier: Apache-2.0
// Where the host keeps what was applied through its admin API: a narrow interface, beside that of the keys, so that a
// fleet can use a store it has. One database holds both, since a change of a model may end keys.
// Owned by the app, called by the inventory on the loop's thread; calls may block for one disk sync each.
// A change is one transaction: it has happened as a whole and is on disk when the call returns ok, or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/key_store.h"

namespace msp::gateway {

enum class ResourceKind : std::uint8_t { kVirtualMachine = 0, kProfile = 1, kProfileVersion = 2, kScaleSet = 3 };

/// What one resource is known by: a virtual machine by its vmId, the others by their resource id, all lower case.
struct ResourceName {
  ResourceKind kind = ResourceKind::kVirtualMachine;
  std::string key;

  auto operator<=>(const ResourceName&) const = default;
};

struct StoredResource {
  ResourceName name;
  std::string text;             ///< byte for byte as it was given
  std::string addresses;        ///< source addresses given beside it, separated by blanks; empty: those of the model
  std::string interfaces = {};  ///< of the host, given beside it, separated by blanks
  std::string network = {};     ///< given beside it: the interface by which it is heard; empty: any
};

/// The incarnation that a virtual machine's model now has.
struct EnteredIncarnation {
  std::string vm_id;
  std::uint32_t incarnation = 0;
};

/// A machine that leaves for another host, or comes from one.
struct Move {
  std::string vm_id;
  std::uint32_t moves = 0;              ///< so often it has moved then; not more than before refuses the whole change
  std::optional<KeyRecord> key = {};    ///< that comes with it, latched
  std::vector<KeyRecord> signers = {};  ///< dead keys of it: only what they signed the status with
};

struct ModelChange {
  std::vector<StoredResource> put = {};    ///< new, or in place of what has this name
  std::vector<ResourceName> removed = {};  ///< what is not there is not missed
  /// Keys of earlier incarnations die. One that is lower than before refuses the whole change.
  std::vector<EnteredIncarnation> entered = {};
  /// Virtual machines whose keys die; their incarnation stays known, so that it cannot fall later.
  std::vector<std::string> forgotten = {};
  std::vector<Move> moved = {};
};

class ModelStore {
 public:
  virtual ~ModelStore() = default;

  /// In the order of their names.
  virtual Result<std::vector<StoredResource>> resources() = 0;
  virtual Result<void> change(const ModelChange& change) = 0;
  /// The highest incarnation that a virtual machine ever had; nothing: it was never seen.
  virtual Result<std::optional<std::uint32_t>> incarnation(std::string_view vm_id) = 0;
  /// How often it has moved between hosts, as far as was seen here; a machine that was never seen: 0.
  virtual Result<std::uint32_t> moves(std::string_view vm_id) = 0;
};

/// A copy of the whole store that is being taken while the store is used.
class StoreBackup {
 public:
  virtual ~StoreBackup() = default;
  /// A small part of it. True: it is whole.
  virtual Result<bool> step() = 0;
  /// What restore() takes; keys in it are sealed.
  virtual Result<std::string> bytes() = 0;
};

/// Both sides of one database.
class HostStore : public KeyStore, public ModelStore {
 public:
  /// The store outlives it.
  virtual Result<std::unique_ptr<StoreBackup>> begin_backup() = 0;
  /// For a store that was restored: takes every key, and the incarnations, from the store in the file `path` instead,
  /// which is the later one; keys that only this one has die. Incarnations never fall.
  virtual Result<void> take_keys_of(const std::string& path) = 0;
  /// The same where the later one is lost: every key dies, since it may have ended since.
  virtual Result<void> end_all_keys() = 0;
};

/// SQLite, in one file of mode 0600 that one process holds at a time. An older schema is brought up to date.
Result<std::unique_ptr<HostStore>> open_sqlite_store(const std::string& path);

}  // namespace msp::gateway
