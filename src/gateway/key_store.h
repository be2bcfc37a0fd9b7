// SPDX-License-Identifier: Apache-2.0
// Where the host keeps the keys of its virtual machines: a narrow interface, so that a fleet can use a store it has.
// Owned by the app, called by the channel on the loop's thread; calls may block for one disk sync each.
// Every change is one transaction: it has happened as a whole and is on disk when the call returns ok, or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace msp::gateway {

enum class KeyState : std::uint8_t { kPending = 0, kLatched = 1 };

/// A key as the store sees it: the secret itself only sealed.
struct KeyRecord {
  std::string vm_id;
  std::string guid;    ///< lower case, unique over all that the store remembers, of all virtual machines
  std::string issued;  ///< ISO 8601, UTC
  std::uint32_t incarnation = 0;
  KeyState state = KeyState::kPending;
  std::string sealed = {};
  /// What signs status answers (protocol/status_signature.h), sealed; of a key that was latched it stays when that
  /// dies.
  std::string signer = {};
};

struct IssueOutcome {
  bool latched_already = false;      ///< nothing was stored: the virtual machine has a latched key
  std::vector<std::string> dropped;  ///< guids of the oldest pending keys, dead now to keep the bound
};

enum class LatchOutcome : std::uint8_t {
  kLatched,  ///< latched now; every other pending key of the virtual machine is dead
  kAlready,  ///< this very key was latched before
  kOtherIsLatched,
  kUnknown,  ///< no such key of this virtual machine
};

enum class IncarnationOutcome : std::uint8_t {
  kSame,
  kRaised,  ///< keys of the earlier incarnation are dead, their secrets removed
  kFell,    ///< refused: an old key could come back (nothing changed)
};

class KeyStore {
 public:
  /// Of a machine's keys that ended without being latched so many are remembered, the newest: what is issued to it must
  /// not fill the disk. Those that were latched are remembered all.
  static constexpr std::size_t kEndedKept = 256;

  virtual ~KeyStore() = default;

  /// All pending and latched keys, oldest first.
  virtual Result<std::vector<KeyRecord>> load() = 0;
  /// Those of one virtual machine, oldest first.
  virtual Result<std::vector<KeyRecord>> load(std::string_view vm_id) = 0;
  /// Tells the store the incarnation of the model; to be called for each virtual machine before it is served.
  virtual Result<IncarnationOutcome> enter_incarnation(std::string_view vm_id, std::uint32_t incarnation) = 0;
  /// Adds a pending key unless one is latched. At most `max_pending` stay.
  virtual Result<IssueOutcome> issue(const KeyRecord& key, std::size_t max_pending) = 0;
  virtual Result<LatchOutcome> latch(std::string_view vm_id, std::string_view guid) = 0;
  /// True for a key that this virtual machine had and that is dead now, as far as it is remembered.
  virtual Result<bool> has_ended(std::string_view vm_id, std::string_view guid) = 0;

  /// That of a key that is latched, or was, of this virtual machine.
  virtual Result<std::optional<std::string>> signer(std::string_view vm_id, std::string_view guid) = 0;
  /// All that there are of keys that are dead, oldest first: the records have nothing else sealed.
  virtual Result<std::vector<KeyRecord>> dead_signers(std::string_view vm_id) = 0;
  /// For one that was stored without.
  virtual Result<void> set_signer(std::string_view guid, std::string_view sealed) = 0;

  /// Small texts that belong to the store as a whole (the check value of the master key).
  virtual Result<std::optional<std::string>> note(std::string_view name) = 0;
  virtual Result<void> set_note(std::string_view name, std::string_view value) = 0;
};

}  // namespace msp::gateway
