// SPDX-License-Identifier: Apache-2.0
#include "gateway/key_ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "gateway/key_sealing.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kCheckName = "master_key_check";
constexpr std::string_view kCheckText = "msp-host master key";

}  // namespace

Result<std::unique_ptr<KeyRing>> KeyRing::open(KeyStore& store, Secret master, VmRegistry& registry, const Clock& clock,
                                               std::size_t max_pending) {
  std::unique_ptr<KeyRing> ring(new KeyRing(store, std::move(master), clock, max_pending));
  if (auto good = ring->check_master(); !good) {
    return std::move(good).error();
  }
  if (auto entered = ring->enter_incarnations(registry); !entered) {
    return std::move(entered).error();
  }
  if (auto loaded = ring->load(registry); !loaded) {
    return std::move(loaded).error();
  }
  return ring;
}

Result<bool> fits(KeyStore& store, const Secret& master) {
  auto check = store.note(kCheckName);
  if (!check) {
    return std::move(check).error();
  }
  return !check->has_value() || unseal(master, as_bytes(**check), as_bytes(kCheckName)).ok();
}

Error wrong_master_key() {
  return config_error("the master key is not the one that the database was made with",
                      "put the right master key back, or move host.db* away: then each machine latches a new key");
}

Error incarnation_fell(const VmModel& model) {
  return config_error(
      fmt::format("virtual machine {}: keyIncarnationId {} is lower than before", model.name,
                  model.proxy_agent.key_incarnation_id),
      "an old key could come back: set it to the highest value it ever had, or raise it to reset the key");
}

Result<void> KeyRing::check_master() {
  auto check = store_.note(kCheckName);
  if (!check) {
    return std::move(check).error();
  }
  if (check->has_value()) {
    auto good = fits(store_, master_);
    if (!good) {
      return std::move(good).error();
    }
    if (!*good) {
      return wrong_master_key();
    }
    return {};
  }
  auto sealed = seal(master_, as_bytes(kCheckText), as_bytes(kCheckName));
  if (!sealed) {
    return std::move(sealed).error();
  }
  return store_.set_note(kCheckName, as_text(*sealed));
}

Result<void> KeyRing::enter_incarnations(VmRegistry& registry) {
  for (const auto& vm : registry.all()) {
    const std::uint32_t incarnation = vm->model.proxy_agent.key_incarnation_id;
    auto outcome = store_.enter_incarnation(vm->model.vm_id, incarnation);
    if (!outcome) {
      return std::move(outcome).error();
    }
    if (*outcome == IncarnationOutcome::kFell) {
      return incarnation_fell(vm->model);
    }
    if (*outcome == IncarnationOutcome::kRaised) {
      log::info("virtual machine {}: keyIncarnationId is {} now, earlier keys are dead", vm->model.name, incarnation);
    }
  }
  return {};
}

Result<void> KeyRing::load(VmRegistry& registry) {
  auto records = store_.load();
  if (!records) {
    return std::move(records).error();
  }
  for (const KeyRecord& record : *records) {
    Vm* vm = registry.find_by_id(record.vm_id);
    if (vm == nullptr) {
      continue;  // a machine that is not configured now keeps its latch for when it is
    }
    if (auto added = load(*vm, record); !added) {
      return added;
    }
  }
  return {};
}

Result<void> KeyRing::load(Vm& vm, const KeyRecord& record) {
  auto key = unseal(master_, as_bytes(record.sealed), as_bytes(key_context(record.vm_id, record.guid)));
  if (!key) {
    return Error{Source::kHost, fmt::format("the sealed key {} of {} does not open", record.guid, vm.model.name),
                 "the database was altered: put back a backup, or raise keyIncarnationId of this machine", 0};
  }
  if (record.state == KeyState::kLatched && record.signer.empty()) {
    auto signer = sealed_signer(record.vm_id, record.guid, *key);
    auto kept = signer ? store_.set_signer(record.guid, *signer) : Result<void>(std::move(signer).error());
    if (!kept) {
      return kept;
    }
  }
  return add(vm, record.guid, record.state, *key);
}

Result<void> KeyRing::adopt(Vm& vm) {
  auto records = store_.load(vm.model.vm_id);
  if (!records) {
    return std::move(records).error();
  }
  for (const KeyRecord& record : *records) {
    if (auto added = load(vm, record); !added) {
      drop(vm);
      return added;
    }
  }
  return {};
}

void KeyRing::drop(Vm& vm) {
  if (vm.latched != nullptr) {
    keys_.erase(std::string(vm.latched->guid));
    vm.latched = nullptr;
  }
  drop_pending(vm);
  drop_outgoing(vm);
}

void KeyRing::rotate(Vm& vm) {
  drop_pending(vm);
  drop_outgoing(vm);
  if (vm.latched == nullptr) {
    return;
  }
  vm.outgoing = std::exchange(vm.latched, nullptr);
  vm.outgoing->ends_ms = clock_.boottime_ms() + kMostOverlapMs;
  with_outgoing_.push_back(&vm);
}

void KeyRing::drop_outgoing(Vm& vm) {
  if (vm.outgoing != nullptr) {
    keys_.erase(std::string(vm.outgoing->guid));
    vm.outgoing = nullptr;
    std::erase(with_outgoing_, &vm);
  }
}

void KeyRing::drop_what_is_over() {
  const std::vector<Vm*> all = with_outgoing_;
  for (Vm* vm : all) {
    if (outgoing(*vm) == nullptr) {
      drop_outgoing(*vm);
    }
  }
}

Result<void> KeyRing::add(Vm& vm, const std::string& guid, KeyState state, const Secret& key) {
  auto mac = HmacSha256::create(key);
  if (!mac) {
    return std::move(mac).error();
  }
  auto secret = protocol::status_secret(key);
  auto signer = secret ? HmacSha256::create(*secret) : Result<HmacSha256>(std::move(secret).error());
  if (!signer) {
    return std::move(signer).error();
  }
  auto live = std::make_unique<LiveKey>(
      LiveKey{.guid = guid, .vm = &vm, .state = state, .mac = std::move(*mac), .signer = std::move(*signer)});
  if (state == KeyState::kLatched) {
    vm.latched = live.get();
  } else {
    vm.pending.push_back(guid);
  }
  keys_[guid] = std::move(live);
  return {};
}

void KeyRing::drop_pending(Vm& vm) {
  for (const std::string& guid : vm.pending) {
    keys_.erase(guid);
  }
  vm.pending.clear();
}

LiveKey* KeyRing::find(std::string_view guid) {
  const auto found = keys_.find(guid);
  return found == keys_.end() ? nullptr : found->second.get();
}

bool KeyRing::has_ended(const Vm& vm, std::string_view guid) {
  const auto ended = store_.has_ended(vm.model.vm_id, guid);
  return ended && *ended;
}

IssueResult KeyRing::issue(Vm& vm) {
  if (vm.latched != nullptr) {
    return std::optional<IssuedKey>{};
  }
  drop_what_is_over();
  auto key = random_secret(kKeySize);
  if (!key) {
    return std::move(key).error();
  }
  auto guid = random_guid();
  if (!guid) {
    return std::move(guid).error();
  }
  auto sealed = seal(master_, key->bytes(), as_bytes(key_context(vm.model.vm_id, *guid)));
  if (!sealed) {
    return std::move(sealed).error();
  }
  auto signer = sealed_signer(vm.model.vm_id, *guid, *key);
  if (!signer) {
    return std::move(signer).error();
  }
  KeyRecord record{.vm_id = vm.model.vm_id,
                   .guid = *guid,
                   .issued = timestamp_us(clock_.realtime_ns()),
                   .incarnation = vm.model.proxy_agent.key_incarnation_id,
                   .state = KeyState::kPending,
                   .sealed = as_text(*sealed),
                   .signer = std::move(*signer)};
  auto outcome = store_.issue(record, max_pending_);
  if (!outcome) {
    return std::move(outcome).error();
  }
  if (outcome->latched_already) {
    return bug(fmt::format("the store has a latched key of {} that memory does not know", vm.model.name));
  }
  for (const std::string& dropped : outcome->dropped) {
    keys_.erase(dropped);
    std::erase(vm.pending, dropped);
  }
  if (auto added = add(vm, *guid, KeyState::kPending, *key); !added) {
    return std::move(added).error();
  }
  return std::optional<IssuedKey>(IssuedKey{.guid = std::move(*guid),
                                            .issued = std::move(record.issued),
                                            .incarnation = record.incarnation,
                                            .key = std::move(*key)});
}

Result<LatchOutcome> KeyRing::latch(Vm& vm, std::string_view guid) {
  auto outcome = store_.latch(vm.model.vm_id, guid);
  if (!outcome || *outcome != LatchOutcome::kLatched) {
    return outcome;
  }
  LiveKey* key = find(guid);
  if (key == nullptr || key->vm != &vm) {
    return bug("the store latched a key that memory does not know");
  }
  key->state = KeyState::kLatched;
  vm.latched = key;
  std::erase(vm.pending, key->guid);
  drop_pending(vm);
  if (vm.outgoing != nullptr) {
    vm.outgoing->ends_ms = std::min(vm.outgoing->ends_ms, clock_.boottime_ms() + kOnItsWayMs);
  }
  return outcome;
}

Result<std::string> KeyRing::sealed_signer(std::string_view vm_id, std::string_view guid, const Secret& key) const {
  auto secret = protocol::status_secret(key);
  if (!secret) {
    return std::move(secret).error();
  }
  auto sealed = seal(master_, secret->bytes(), as_bytes(signer_context(vm_id, guid)));
  return sealed ? Result<std::string>(as_text(*sealed)) : std::move(sealed).error();
}

// Of keys that have ended, too: the agent has not heard of the present one yet, or a disk of an earlier day has come
// back, or the first key that it has seen has to vouch for the present one.
Result<std::optional<Secret>> KeyRing::status_secret(const Vm& vm, std::string_view guid) {
  auto sealed = store_.signer(vm.model.vm_id, guid);
  if (!sealed) {
    return std::move(sealed).error();
  }
  if (!sealed->has_value()) {
    return std::optional<Secret>();
  }
  auto secret = unseal(master_, as_bytes(**sealed), as_bytes(signer_context(vm.model.vm_id, guid)));
  return secret ? Result<std::optional<Secret>>(std::move(*secret)) : std::move(secret).error();
}

Result<std::optional<Sha256Digest>> KeyRing::sign_status(const Vm& vm, std::string_view guid, std::string_view later,
                                                         const protocol::SignedStatus& status) {
  const auto signed_with = [&](HmacSha256& signer) -> Result<std::optional<Sha256Digest>> {
    auto digest = protocol::sign_status(signer, status);
    return digest ? Result<std::optional<Sha256Digest>>(*digest) : std::move(digest).error();
  };
  if (later.empty() && vm.latched != nullptr && vm.latched->guid == guid) {
    return signed_with(vm.latched->signer);
  }
  auto secret = status_secret(vm, guid);
  if (secret && secret->has_value() && !later.empty()) {
    auto other = status_secret(vm, later);
    if (!other || !other->has_value()) {
      return !other ? Result<std::optional<Sha256Digest>>(std::move(other).error()) : std::optional<Sha256Digest>();
    }
    auto linked = protocol::linked_secret(**secret, **other);
    secret = linked ? Result<std::optional<Secret>>(std::move(*linked)) : std::move(linked).error();
  }
  if (!secret) {
    return std::move(secret).error();
  }
  if (!secret->has_value()) {
    return std::optional<Sha256Digest>();
  }
  auto signer = HmacSha256::create(**secret);
  return signer ? signed_with(*signer) : std::move(signer).error();
}

}  // namespace msp::gateway
