// SPDX-License-Identifier: Apache-2.0
// Whether a status answer is believed (protocol.md L.36, docs/signed-status.md): once the host has signed one, all must
// be, also after a restart. What says so lies beside the mark of the latch, with what the next one is checked with: the
// first key that signed, and the last that it has vouched for. A new key proves nothing by itself.
// Owned by the channel, on the control thread; reads and writes one file.
// Whatever cannot be read or checked is not believed; errors never quote a secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>

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
/// As they came; null: none.
struct Signatures {
  const std::string* header = nullptr;  ///< with what the host has to sign with
  const std::string* next = nullptr;    ///< the same, with the key in use in the place of the last
};
/// In the state directory: the host has signed its status, and with what.
inline constexpr std::string_view kSignedMark = "status-signed";

inline constexpr std::string_view kStatusUnsigned = "status_unsigned";
inline constexpr std::string_view kStatusWronglySigned = "status_wrongly_signed";
/// No answer is asked for: prepare() has failed.
inline constexpr std::string_view kStatusUncheckable = "status_uncheckable";

class StatusGuard {
 public:
  /// `machine_file`: what it holds is another on another machine, copies of this one's disk included; it may be
  /// missing.
  StatusGuard(const std::string& state_directory, std::string machine_file);

  /// Before each request. An error: what a signature has to be checked with is there and cannot be read, so no answer
  /// is worth asking for. Tried again at the next call.
  Result<void> prepare();
  /// The key in use; null: none. Whoever answered for the host gave it: it signs the status alone only where no key has
  /// signed before, else together with the first one.
  void use(const Key* key);
  /// False: a key of this id was heard to sign, and it is another than this one.
  bool fits(std::string_view guid, const Secret& key) const;
  /// For one request: a fresh nonce, and the key that the answer has to be signed with. Nothing: there is none yet.
  std::optional<protocol::SignRequest> ask();
  /// The key in use, while the host has not yet signed with it; empty: none such. With the same request.
  std::string ask_next() const;
  /// `asked`: what ask() gave for this request. Nothing: believed.
  std::optional<Disbelief> judge(const std::optional<protocol::SignRequest>& asked, const Signatures& given,
                                 const protocol::SignedStatus& answer);

  /// To be called now and then: writes again what a restart needs where it is gone, is another, is not ours alone, or
  /// could not be written. An error: it is not on the disk.
  Result<void> keep();

  /// Of the file, for messages.
  const std::string& path() const { return path_; }
  /// The host has signed before: what is not signed is not believed.
  bool demands() const { return anchor_.has_value() || unreadable_; }
  /// The host, by its signed word, has another key of the id in use; or it does not vouch for the one in use, though it
  /// has for one before. What is signed with it is refused.
  bool doubts() const { return in_use_ && doubted_ == in_use_->guid; }

 private:
  struct Signer {
    std::string guid;
    Secret secret;  ///< 32 bytes
  };
  /// `first` alone, or linked with a later one.
  struct Anchor {
    Signer first;
    std::string later = {};  ///< key id; empty: none
    Secret linked = {};      ///< 32 bytes, where there is a later one

    const Secret& secret() const { return later.empty() ? first.secret : linked; }
    const std::string& last() const { return later.empty() ? first.guid : later; }
  };
  Result<std::optional<Anchor>> read();
  Result<std::optional<Anchor>> parse(std::string_view line);
  Secret text_of(const Anchor& anchor) const;
  Result<void> check() const;
  Result<void> save_anchor();
  void hear_next(Anchor& anchor, const std::string* header, const protocol::SignedStatus& answer);
  void doubt(const std::string& guid);

  std::string path_;
  std::string machine_file_;
  std::string machine_;  ///< a digest; empty: unknown
  std::string run_;      ///< begins every nonce of this run
  bool read_ = false;
  bool unreadable_ = false;
  bool saved_ = false;
  Secret on_disk_;                ///< the file's text, as it was read or written last
  bool told_ = false;             ///< that it could not be
  bool warned_ = false;           ///< that somebody changed it
  std::optional<Anchor> anchor_;  ///< has signed before
  std::optional<Signer> in_use_;
  std::string doubted_;  ///< key id: the host has another key of this id, or none
};

}  // namespace msp::channel
