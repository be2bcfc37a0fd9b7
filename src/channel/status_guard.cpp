// SPDX-License-Identifier: Apache-2.0
#include "channel/status_guard.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/crypto.h"
#include "base/file.h"
#include "base/log.h"
#include "protocol/guid.h"

namespace msp::channel {
namespace {

constexpr std::string_view kName = "status-signed";
constexpr std::string_view kUnknownMachine = "-";
constexpr std::size_t kMostBytes = 1024;
constexpr std::size_t kNonceBytes = 16;
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMachineBytes = 16;

/// Empty: this machine has none, or it cannot be read.
std::string machine_of(const std::string& file) {
  auto text = file::read(file, {.owner = {}, .no_symlinks = false}, kMostBytes);
  const auto digest = text.ok() && !text->empty() ? sha256(as_bytes(*text)) : Result<Sha256Digest>(Sha256Digest{});
  return text.ok() && !text->empty() && digest.ok() ? hex_encode(Bytes(*digest).first(kMachineBytes)) : std::string();
}

}  // namespace

StatusGuard::StatusGuard(const std::string& state_directory, std::string machine_file)
    : path_(fmt::format("{}/{}", state_directory, kName)), machine_file_(std::move(machine_file)) {}

Result<void> StatusGuard::prepare() {
  if (read_) {
    return {};
  }
  machine_ = machine_of(machine_file_);
  std::array<std::uint8_t, protocol::kRunDigits / 2> run{};
  run_ = random_bytes(run).ok() ? hex_encode(run) : std::string();
  auto found = read();
  unreadable_ = !found.ok();
  if (!found.ok()) {
    return std::move(found).error().context("the host's signature cannot be checked");
  }
  anchor_ = std::move(*found);
  saved_ = anchor_.has_value();
  read_ = true;
  return {};
}

// "<key id> <machine> <64 hex digits>"
Result<std::optional<StatusGuard::Signer>> StatusGuard::read() {
  auto text = file::read_secret(path_, file::private_state(), kMostBytes);
  if (!text.ok()) {
    return text.error().code == ENOENT ? Result<std::optional<Signer>>(std::nullopt) : std::move(text).error();
  }
  std::string_view line = text->reveal();
  line.remove_suffix(line.ends_with('\n') ? 1 : 0);
  const auto first = line.find(' ');
  const auto second = line.find(' ', first + 1);
  if (first != std::string_view::npos && second != std::string_view::npos && protocol::is_guid(line.substr(0, first))) {
    auto secret = Secret::from_hex(line.substr(second + 1));
    if (secret.ok() && secret->size() == kSecretBytes) {
      const std::string_view machine = line.substr(first + 1, second - first - 1);
      if (!machine_.empty() && machine != kUnknownMachine && machine != machine_) {
        log::warn("this disk is that of another machine: its host is not bound to sign as the other's has done");
        return std::optional<Signer>();
      }
      return std::optional(Signer{.guid = std::string(line.substr(0, first)), .secret = std::move(*secret)});
    }
  }
  return config_error(fmt::format("{} is damaged", path_),
                      "put it back; or, if this machine's host can be trusted now, remove it");
}

Result<void> StatusGuard::save(const Signer& signer) const {
  const std::string head =
      fmt::format("{} {} ", signer.guid, machine_.empty() ? std::string(kUnknownMachine) : machine_);
  const Secret digits = signer.secret.to_hex();
  Secret text(head.size() + digits.size() + 1);
  char* to = reinterpret_cast<char*>(text.writable().data());
  to = std::ranges::copy(head, to).out;
  to = std::ranges::copy(digits.reveal(), to).out;
  *to = '\n';
  return file::replace(path_, text.reveal(), {.mode = 0600, .durable = true, .owner = {}, .group = {}});
}

void StatusGuard::use(const Key* key) {
  if (key == nullptr || (in_use_ && in_use_->guid == key->guid)) {
    in_use_ = key == nullptr ? std::nullopt : std::move(in_use_);
    return;
  }
  in_use_.reset();
  auto secret = protocol::status_secret(key->bytes);
  if (secret.ok()) {
    in_use_.emplace(Signer{.guid = key->guid, .secret = std::move(*secret)});
  }
}

std::optional<protocol::SignRequest> StatusGuard::ask() {
  const Signer* signer = in_use_ ? &*in_use_ : anchor_ ? &*anchor_ : nullptr;
  std::array<std::uint8_t, kNonceBytes> nonce{};
  if (signer == nullptr || run_.empty() || !random_bytes(nonce).ok()) {
    return std::nullopt;
  }
  return protocol::SignRequest{.nonce = run_ + hex_encode(nonce), .guid = signer->guid};
}

std::optional<Disbelief> StatusGuard::judge(const std::optional<protocol::SignRequest>& asked,
                                            const std::string* header, const protocol::SignedStatus& answer) {
  const auto given = header == nullptr ? std::nullopt : protocol::parse_status_signature(*header);
  if (!given || !asked) {
    if (!demands()) {
      return std::nullopt;
    }
    return Disbelief{.code = std::string(kStatusUnsigned),
                     .why = fmt::format("the status is not signed with key {}; what it says is not believed",
                                        asked     ? asked->guid
                                        : anchor_ ? anchor_->guid
                                                  : "of before")};
  }
  const Signer* signer = in_use_ && in_use_->guid == asked->guid   ? &*in_use_
                         : anchor_ && anchor_->guid == asked->guid ? &*anchor_
                                                                   : nullptr;
  auto mac = signer == nullptr ? Result<HmacSha256>(bug("no key to check with")) : HmacSha256::create(signer->secret);
  const auto expected = mac.ok() ? protocol::sign_status(*mac, answer) : Result<Sha256Digest>(mac.error());
  if (given->guid != asked->guid || !expected.ok() || !constant_time_equal(*expected, given->signature)) {
    return Disbelief{.code = std::string(kStatusWronglySigned),
                     .why = fmt::format("the status is signed wrongly (asked for key {}); what it says is not believed",
                                        asked->guid)};
  }
  believe_only(*signer);
  return std::nullopt;
}

void StatusGuard::believe_only(const Signer& signer) {
  if (anchor_ && anchor_->guid == signer.guid && saved_) {
    return;
  }
  Signer copy{.guid = signer.guid, .secret = signer.secret.clone()};
  const auto saved = save(copy);
  saved_ = saved.ok();
  if (!saved.ok()) {
    log::error("cannot note that the host signs its status: {}", saved.error().text());
  }
  anchor_.emplace(std::move(copy));
}

}  // namespace msp::channel
