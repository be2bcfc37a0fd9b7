// SPDX-License-Identifier: Apache-2.0
// Keys of machines that move between hosts: sealed for the other one, and sealed anew under our own master key.
#include <fmt/format.h>

#include <algorithm>

#include "gateway/key_ring.h"
#include "gateway/key_sealing.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kBoxLabel = "msp-host keys of machines that move here";

}  // namespace

Result<Secret> KeyRing::box_key() const {
  auto mac = HmacSha256::create(master_);
  if (!mac) {
    return std::move(mac).error();
  }
  auto digest = mac->sign(kBoxLabel);
  return digest ? Result<Secret>(Secret::copy_of(Bytes(*digest))) : std::move(digest).error();
}

Result<BoxPublicKey> KeyRing::recipient() const {
  auto key = box_key();
  return key ? box_public_key(*key) : std::move(key).error();
}

Result<MovedMachine::Key> KeyRing::packed(const MovedMachine& machine, const KeyRecord& record, bool signer,
                                          const BoxPublicKey& to) const {
  const std::string own = signer ? signer_context(record.vm_id, record.guid) : key_context(record.vm_id, record.guid);
  auto secret = unseal(master_, as_bytes(signer ? record.signer : record.sealed), as_bytes(own));
  if (!secret) {
    return std::move(secret).error();
  }
  MovedMachine::Key key{.guid = record.guid, .issued = record.issued};
  const auto context = sealing_text(machine, key, signer);
  auto sealed =
      context ? box_seal(to, secret->bytes(), as_bytes(*context)) : Result<std::vector<std::uint8_t>>(context.error());
  if (!sealed) {
    return std::move(sealed).error();
  }
  key.sealed = std::move(*sealed);
  return key;
}

Result<void> KeyRing::pack(MovedMachine& machine, const BoxPublicKey& to) {
  auto living = store_.load(machine.vm_id);
  auto dead = store_.dead_signers(machine.vm_id);
  if (!living || !dead) {
    return !living ? living.error() : dead.error();
  }
  std::erase_if(*living, [](const KeyRecord& record) { return record.state != KeyState::kLatched; });
  for (const KeyRecord& record : *living) {
    auto key = packed(machine, record, false, to);
    if (!key) {
      return std::move(key).error();
    }
    machine.key = std::move(*key);
  }
  for (const KeyRecord& record : *dead) {
    auto key = packed(machine, record, true, to);
    if (!key) {
      return std::move(key).error();
    }
    machine.signers.push_back(std::move(*key));
  }
  return {};
}

Result<Secret> KeyRing::opened(const MovedMachine& machine, const MovedMachine::Key& key, bool signer) const {
  auto own = box_key();
  const auto context = sealing_text(machine, key, signer);
  if (!own || !context) {
    return !own ? std::move(own).error() : context.error();
  }
  auto secret = box_open(*own, key.sealed, as_bytes(*context));
  if (!secret || secret->size() != kKeySize) {
    return config_error("a key was sealed for another host, or what was exported has been changed",
                        "export it for the recipient that mspctl key recipient prints on this host");
  }
  return secret;
}

Result<Move> KeyRing::unpack(const MovedMachine& machine) const {
  Move move{.vm_id = machine.vm_id, .moves = machine.moves};
  const auto record = [&](const MovedMachine::Key& key) {
    return KeyRecord{
        .vm_id = machine.vm_id, .guid = key.guid, .issued = key.issued, .incarnation = machine.incarnation};
  };
  if (machine.key) {
    auto key = opened(machine, *machine.key, false);
    if (!key) {
      return std::move(key).error();
    }
    auto sealed = seal(master_, key->bytes(), as_bytes(key_context(machine.vm_id, machine.key->guid)));
    auto signer = sealed_signer(machine.vm_id, machine.key->guid, *key);
    if (!sealed || !signer) {
      return !sealed ? std::move(sealed).error() : std::move(signer).error();
    }
    move.key = record(*machine.key);
    move.key->state = KeyState::kLatched;
    move.key->sealed = as_text(*sealed);
    move.key->signer = std::move(*signer);
  }
  for (const MovedMachine::Key& key : machine.signers) {
    auto secret = opened(machine, key, true);
    auto sealed = secret ? seal(master_, secret->bytes(), as_bytes(signer_context(machine.vm_id, key.guid)))
                         : Result<std::vector<std::uint8_t>>(std::move(secret).error());
    if (!sealed) {
      return std::move(sealed).error();
    }
    move.signers.push_back(record(key));
    move.signers.back().signer = as_text(*sealed);
  }
  return move;
}

}  // namespace msp::gateway
