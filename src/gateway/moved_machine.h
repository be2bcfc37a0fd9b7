// SPDX-License-Identifier: Apache-2.0
// A machine on its way from one host to another (docs/disks.md): model, incarnation, latched key, and what earlier keys
// signed the status with; secrets are sealed for the host that it goes to. As JSON, for the admin API and for the file
// that an operator carries. Values; any thread.
// Text comes from an operator: another form is refused. Nothing in it is secret; who made it, it does not say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"
#include "base/result.h"
#include "gateway/config.h"

namespace msp::gateway {

struct MovedMachine {
  struct Key {
    std::string guid;
    std::string issued;
    std::vector<std::uint8_t> sealed = {};  ///< base/crypto_box.h, for the one host; sealing_text() is its context
  };
  std::string vm_id;
  std::uint32_t incarnation = 0;
  /// How often the machine has moved, this time included: a host takes none that it has seen, or seen surpassed.
  std::uint32_t moves = 0;
  std::vector<Ipv4Address> addresses = {};  ///< given beside the model; empty: those of the model
  std::string model = {};                   ///< byte for byte as it was given
  std::optional<Key> key = {};              ///< nothing: none was latched
  std::vector<Key> signers = {};            ///< of dead keys: status secrets (protocol/status_signature.h)
};

/// All that a key, or what it signed with, belongs to: with another machine, model or number of moves it does not open.
Result<std::string> sealing_text(const MovedMachine& machine, const MovedMachine::Key& key, bool signer);

std::string moved_machine_json(const MovedMachine& machine);
Result<MovedMachine> parse_moved_machine(std::string_view text);

}  // namespace msp::gateway
