// SPDX-License-Identifier: Apache-2.0
// Whether a status answer is believed (protocol.md L.36, docs/signed-status.md): once the host has signed one, all must
// be, also after a restart. What says so lies beside the mark of the latch, with what the next one is checked with.
// Owned by the channel, on the control thread; reads and writes one file.
// Whatever cannot be read or checked is not believed; errors never quote a secret.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "channel/state.h"
#include "protocol/status_signature.h"

namespace msp::channel {

/// Why an answer is not believed. The codes stand where the host's own word would (ChannelState::host_code).
struct Disbelief {
  std::string code;
  std::string why;
};
inline constexpr std::string_view kStatusUnsigned = "status_unsigned";
inline constexpr std::string_view kStatusWronglySigned = "status_wrongly_signed";

class StatusGuard {
 public:
  /// `machine_file`: what it holds is another on another machine, copies of this one's disk included; it may be
  /// missing.
  StatusGuard(const std::string& state_directory, std::string machine_file);

  /// Before each request. An error: what a signature has to be checked with is there and cannot be read, so no answer
  /// is worth asking for. Tried again at the next call.
  Result<void> prepare();
  /// The key in use, which the host is to sign with from now on; null: none.
  void use(const Key* key);
  /// For one request: a fresh nonce, and the key that the answer has to be signed with. Nothing: there is none yet.
  std::optional<protocol::SignRequest> ask();
  /// `asked`: what ask() gave for this request; `header`: the signature as it came, null: none. Nothing: believed.
  std::optional<Disbelief> judge(const std::optional<protocol::SignRequest>& asked, const std::string* header,
                                 const protocol::SignedStatus& answer);

  /// The host has signed before: what is not signed is not believed.
  bool demands() const { return anchor_.has_value() || unreadable_; }

 private:
  struct Signer {
    std::string guid;
    Secret secret;  ///< 32 bytes
  };
  Result<std::optional<Signer>> read();
  Result<void> save(const Signer& signer) const;
  void believe_only(const Signer& signer);

  std::string path_;
  std::string machine_file_;
  std::string machine_;  ///< a digest; empty: unknown
  std::string run_;      ///< begins every nonce of this run
  bool read_ = false;
  bool unreadable_ = false;
  bool saved_ = false;
  std::optional<Signer> anchor_;  ///< has signed before
  std::optional<Signer> in_use_;
};

}  // namespace msp::channel
