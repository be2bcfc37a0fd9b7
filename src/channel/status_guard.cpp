// SPDX-License-Identifier: Apache-2.0
#include "channel/status_guard.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/crypto.h"
#include "base/file.h"
#include "base/log.h"
#include "protocol/guid.h"

namespace msp::channel {
namespace {

constexpr std::string_view kUnknownMachine = "-";
constexpr std::size_t kMostBytes = 1024;
constexpr std::size_t kNonceBytes = 16;
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMachineBytes = 16;
constexpr std::size_t kMostWords = 5;

/// Empty: this machine has none, or it cannot be read.
std::string machine_of(const std::string& file) {
  auto text = file::read(file, {.owner = {}, .no_symlinks = false}, kMostBytes);
  const auto digest = text.ok() && !text->empty() ? sha256(as_bytes(*text)) : Result<Sha256Digest>(Sha256Digest{});
  return text.ok() && !text->empty() && digest.ok() ? hex_encode(Bytes(*digest).first(kMachineBytes)) : std::string();
}

Result<Secret> secret_of(std::string_view digits) {
  auto secret = Secret::from_hex(digits);
  return secret.ok() && secret->size() != kSecretBytes ? Result<Secret>(config_error("no secret", {}))
                                                       : std::move(secret);
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at != std::string_view::npos && words.size() <= kMostWords;) {
    const auto blank = line.find(' ', at);
    words.push_back(line.substr(at, blank == std::string_view::npos ? blank : blank - at));
    at = blank == std::string_view::npos ? blank : blank + 1;
  }
  return words;
}

bool is_signed(const Secret& secret, const protocol::StatusSignature& given, const protocol::SignedStatus& answer) {
  auto mac = HmacSha256::create(secret);
  const auto expected = mac.ok() ? protocol::sign_status(*mac, answer) : Result<Sha256Digest>(mac.error());
  return expected.ok() && constant_time_equal(*expected, given.signature);
}

void append(Secret& to, std::size_t& at, std::string_view text) {
  std::ranges::copy(as_bytes(text), to.writable().begin() + static_cast<std::ptrdiff_t>(at));
  at += text.size();
}

}  // namespace

StatusGuard::StatusGuard(const std::string& state_directory, std::string machine_file)
    : path_(fmt::format("{}/{}", state_directory, kSignedMark)), machine_file_(std::move(machine_file)) {}

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

Result<std::optional<StatusGuard::Anchor>> StatusGuard::read() {
  auto text = file::read_secret(path_, file::private_state(), kMostBytes);
  if (!text.ok()) {
    return text.error().code == ENOENT ? Result<std::optional<Anchor>>(std::nullopt) : std::move(text).error();
  }
  on_disk_ = std::move(*text);
  std::string_view line = on_disk_.reveal();
  line.remove_suffix(line.ends_with('\n') ? 1 : 0);
  return parse(line);
}

// "<first key id> <machine> <64 hex digits>[ <later key id> <64 hex digits>]"
Result<std::optional<StatusGuard::Anchor>> StatusGuard::parse(std::string_view line) {
  const auto words = words_of(line);
  const bool two = words.size() == kMostWords;
  if ((two || words.size() == 3) && protocol::is_guid(words[0]) && (!two || protocol::is_guid(words[3]))) {
    auto first = secret_of(words[2]);
    auto linked = two ? secret_of(words[4]) : Result<Secret>(Secret());
    if (first.ok() && linked.ok()) {
      if (!machine_.empty() && words[1] != kUnknownMachine && words[1] != machine_) {
        log::warn("this disk is that of another machine: its host is not bound to sign as the other's has done");
        return std::optional<Anchor>();
      }
      return std::optional(Anchor{.first = {.guid = std::string(words[0]), .secret = std::move(*first)},
                                  .later = two ? std::string(words[3]) : std::string(),
                                  .linked = std::move(*linked)});
    }
  }
  return config_error(fmt::format("{} is damaged", path_),
                      "put it back; or, if this machine's host can be trusted now, remove it");
}

Secret StatusGuard::text_of(const Anchor& anchor) const {
  const std::string head =
      fmt::format("{} {} ", anchor.first.guid, machine_.empty() ? std::string(kUnknownMachine) : machine_);
  const Secret digits = anchor.first.secret.to_hex();
  const std::string later = anchor.later.empty() ? std::string() : fmt::format(" {} ", anchor.later);
  const Secret linked = anchor.later.empty() ? Secret() : anchor.linked.to_hex();
  Secret text(head.size() + digits.size() + later.size() + linked.size() + 1);
  std::size_t at = 0;
  for (const std::string_view part : {std::string_view(head), digits.reveal(), std::string_view(later),
                                      linked.empty() ? std::string_view() : linked.reveal(), std::string_view("\n")}) {
    append(text, at, part);
  }
  return text;
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

bool StatusGuard::fits(std::string_view guid, const Secret& key) const {
  if (!anchor_ || (guid != anchor_->first.guid && guid != anchor_->last())) {
    return true;
  }
  auto secret = protocol::status_secret(key);
  if (secret.ok() && guid != anchor_->first.guid) {
    secret = protocol::linked_secret(anchor_->first.secret, *secret);
  }
  return secret.ok() && *secret == (guid == anchor_->first.guid ? anchor_->first.secret : anchor_->linked);
}

std::optional<protocol::SignRequest> StatusGuard::ask() {
  std::array<std::uint8_t, kNonceBytes> nonce{};
  const Signer* const first = anchor_ ? &anchor_->first : in_use_ ? &*in_use_ : nullptr;
  if (first == nullptr || run_.empty() || !random_bytes(nonce).ok()) {
    return std::nullopt;
  }
  return protocol::SignRequest{
      .nonce = run_ + hex_encode(nonce), .guid = first->guid, .linked = anchor_ ? anchor_->later : std::string()};
}

std::string StatusGuard::ask_next() const {
  const bool other = anchor_ && in_use_ && in_use_->guid != anchor_->last() && in_use_->guid != anchor_->first.guid;
  return other ? in_use_->guid : std::string();
}

std::optional<Disbelief> StatusGuard::judge(const std::optional<protocol::SignRequest>& asked, const Signatures& given,
                                            const protocol::SignedStatus& answer) {
  const auto signature = given.header == nullptr ? std::nullopt : protocol::parse_status_signature(*given.header);
  const std::string last = anchor_ ? anchor_->last() : in_use_ ? in_use_->guid : "of before";
  if (!signature || !asked || unreadable_) {
    if (!demands()) {
      return std::nullopt;
    }
    return Disbelief{.code = std::string(kStatusUnsigned),
                     .why = fmt::format("the status is not signed with key {}; what it says is not believed", last)};
  }
  const Secret* const secret = anchor_ ? &anchor_->secret() : in_use_ ? &in_use_->secret : nullptr;
  if (signature->guid != last || secret == nullptr || !is_signed(*secret, *signature, answer)) {
    return Disbelief{
        .code = std::string(kStatusWronglySigned),
        .why = fmt::format("the status is signed wrongly (asked for key {}); what it says is not believed", last)};
  }
  if (anchor_) {
    hear_next(*anchor_, given.next, answer);
  } else if (in_use_) {
    anchor_.emplace(Anchor{.first = {.guid = in_use_->guid, .secret = in_use_->secret.clone()}});
  }
  if (!saved_) {
    (void)save_anchor();
  }
  return std::nullopt;
}

// Whoever gave out the key in use may have been anybody. Only who knows the first key, too, signs with both linked.
void StatusGuard::hear_next(Anchor& anchor, const std::string* header, const protocol::SignedStatus& answer) {
  const std::string asked = ask_next();
  if (asked.empty() || !in_use_) {
    return;
  }
  const auto signature = header == nullptr ? std::nullopt : protocol::parse_status_signature(*header);
  if (!signature || signature->guid != asked) {
    // A host that has never vouched for a later key may not know how.
    if (!anchor.later.empty()) {
      doubt(asked);
    }
    return;
  }
  auto linked = protocol::linked_secret(anchor.first.secret, in_use_->secret);
  if (!linked.ok() || !is_signed(*linked, *signature, answer)) {
    doubt(asked);
    return;
  }
  doubted_.clear();
  anchor.later = asked;
  anchor.linked = std::move(*linked);
  saved_ = false;
}

void StatusGuard::doubt(const std::string& guid) {
  if (std::exchange(doubted_, guid) != guid) {
    log::warn("key {} in use is not the one that the host has: somebody else may have given it out", guid);
    log::hint("the host refuses what is signed with it: mspctl key reset, on the host");
  }
}

Result<void> StatusGuard::keep() {
  if (!anchor_) {
    return {};
  }
  if (saved_) {
    auto same = check();
    if (same.ok()) {
      warned_ = false;
      return same;
    }
    if (!std::exchange(warned_, true)) {
      log::warn("somebody changed or removed {} under the running agent ({}): it is written again", path_,
                same.error().text());
    }
  }
  auto saved = save_anchor();
  return saved.ok() ? check() : saved;
}

/// A restart would find what was read or written last.
Result<void> StatusGuard::check() const {
  const auto found = file::read_secret(path_, file::private_state(), kMostBytes);
  if (!found.ok()) {
    return found.error();
  }
  return *found == on_disk_ ? Result<void>() : config_error("it holds something else");
}

Result<void> StatusGuard::save_anchor() {
  if (!anchor_) {
    return {};
  }
  Secret text = text_of(*anchor_);
  auto saved = file::replace(path_, text.reveal(), {.mode = 0600, .durable = true, .owner = {}, .group = {}});
  saved_ = saved.ok();
  if (saved_) {
    on_disk_ = std::move(text);
  } else if (!std::exchange(told_, true)) {
    log::error("cannot note that the host signs its status: {}", saved.error().text());
  }
  told_ = told_ && !saved_;
  return saved;
}

}  // namespace msp::channel
