// SPDX-License-Identifier: Apache-2.0
// The keys of all virtual machines in memory, ready to verify with, in step with the store on disk.
// Owned by the app; loop's thread. Finding a key touches neither disk nor lock.
// A change that the store refuses has not happened: memory stays as it was.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/crypto_box.h"
#include "base/result.h"
#include "base/secret.h"
#include "gateway/model_store.h"
#include "gateway/moved_machine.h"
#include "gateway/vm_registry.h"
#include "protocol/status_signature.h"

namespace msp::gateway {

struct LiveKey {
  std::string guid;
  Vm* vm = nullptr;
  KeyState state = KeyState::kPending;
  HmacSha256 mac;     ///< keyed once, used for every request
  HmacSha256 signer;  ///< of status answers
  /// Of the outgoing key of a machine: when it is dead, in milliseconds since boot.
  std::uint64_t ends_ms = 0;
};

/// So long an outgoing key is taken at most, while no other has been latched: an agent that polls at its usual pace has
/// latched another several times over.
inline constexpr std::uint64_t kMostOverlapMs = 300'000;
/// So long it is taken once another is latched: what was signed before is on its way, or its body is.
inline constexpr std::uint64_t kOnItsWayMs = 10'000;

/// What an agent is told of a new key (protocol.md C.2).
struct IssuedKey {
  std::string guid;
  std::string issued;
  std::uint32_t incarnation = 0;
  Secret key;
};

/// Nothing: the virtual machine has a latched key.
using IssueResult = Result<std::optional<IssuedKey>>;

class KeyRing {
 public:
  /// Enters the incarnation of every machine, unseals what is pending or latched. `store`, `registry` and `clock`
  /// outlive the ring. Refused: another master key than the store was made with, an incarnation that has fallen.
  static Result<std::unique_ptr<KeyRing>> open(KeyStore& store, Secret master, VmRegistry& registry, const Clock& clock,
                                               std::size_t max_pending);

  /// A machine that was not there at the start: its keys, if it had any, as the store has them. On an error none of
  /// them is here.
  Result<void> adopt(Vm& vm);
  /// The store has ended the keys of this machine: memory follows.
  void drop(Vm& vm);
  /// The same, but the latched key becomes the outgoing one: taken until the machine has latched another and what is on
  /// its way has come, in memory only. So a planned change of the key refuses nothing (docs/channel.md, "Rotation").
  void rotate(Vm& vm);

  /// Any key that is pending or latched; literal comparison (protocol.md C.7.8).
  LiveKey* find(std::string_view guid);
  /// The key of this machine that may sign its requests under this id, or null.
  LiveKey* taken(Vm& vm, std::string_view guid) {
    if (vm.latched != nullptr && vm.latched->guid == guid) {
      return vm.latched;
    }
    return vm.outgoing != nullptr && vm.outgoing->guid == guid ? outgoing(vm) : nullptr;
  }
  /// The key of this machine that is taken for a while after a rotation, or null.
  LiveKey* outgoing(const Vm& vm) const {
    return vm.outgoing != nullptr && clock_.boottime_ms() < vm.outgoing->ends_ms ? vm.outgoing : nullptr;
  }
  /// True for a key that this machine had and that is dead. Asks the store (one look into an index): for refusals only.
  bool has_ended(const Vm& vm, std::string_view guid);

  /// A new key and guid each time, on disk before it is returned (protocol.md C.7.3).
  IssueResult issue(Vm& vm);
  /// On disk before it is returned; the machine's other pending keys are dead then (protocol.md C.7.4).
  Result<LatchOutcome> latch(Vm& vm, std::string_view guid);

  /// With a key that this machine has latched, or had, or with two of them linked (`later` not empty); nothing: it has
  /// and had no such key.
  Result<std::optional<Sha256Digest>> sign_status(const Vm& vm, std::string_view guid, std::string_view later,
                                                  const protocol::SignedStatus& status);

  /// What another host seals the key of a machine for when it moves here. Follows from the master key; not secret.
  Result<BoxPublicKey> recipient() const;
  /// Puts into a machine that leaves its keys, for that host alone. Nothing changes here.
  Result<void> pack(MovedMachine& machine, const BoxPublicKey& to);
  /// The keys of a machine that comes, to be stored. Nothing changes here.
  Result<Move> unpack(const MovedMachine& machine) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  KeyRing(KeyStore& store, Secret master, const Clock& clock, std::size_t max_pending)
      : store_(store), master_(std::move(master)), clock_(clock), max_pending_(max_pending) {}

  Result<Secret> box_key() const;
  Result<MovedMachine::Key> packed(const MovedMachine& machine, const KeyRecord& record, bool signer,
                                   const BoxPublicKey& to) const;
  Result<Secret> opened(const MovedMachine& machine, const MovedMachine::Key& key, bool signer) const;
  Result<std::string> sealed_signer(std::string_view vm_id, std::string_view guid, const Secret& key) const;
  Result<std::optional<Secret>> status_secret(const Vm& vm, std::string_view guid);
  Result<void> check_master();
  Result<void> enter_incarnations(VmRegistry& registry);
  Result<void> load(VmRegistry& registry);
  Result<void> load(Vm& vm, const KeyRecord& record);
  void drop_pending(Vm& vm);
  void drop_outgoing(Vm& vm);
  void drop_what_is_over();
  Result<void> add(Vm& vm, const std::string& guid, KeyState state, const Secret& key);

  KeyStore& store_;
  Secret master_;
  const Clock& clock_;
  std::size_t max_pending_;
  std::unordered_map<std::string, std::unique_ptr<LiveKey>, Hash, std::equal_to<>> keys_;
  std::vector<Vm*> with_outgoing_;  // few, and for minutes
};

/// Why a host does not start: with another master key, or a model that says less than before.
Error wrong_master_key();
Error incarnation_fell(const VmModel& model);
/// True where the store was made with this master key. A store that has no key yet was made with any.
Result<bool> fits(KeyStore& store, const Secret& master);

}  // namespace msp::gateway
