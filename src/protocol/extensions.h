// SPDX-License-Identifier: Apache-2.0
// What a host may ask of each signed request beyond the field's protocol (docs/request-extensions.md): a nonce against
// replays, and who the caller is. Extensions of ours, negotiated; who does not know them sees headers to ignore.
// Pure functions; any thread. Formatting takes no memory but that of `out`.
// What comes from a peer is untrusted: another form is none at all (asks), or a refusal (nonce, caller).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace msp::protocol {

/// Whatever begins like this is between agent and host; from a client it is dropped.
inline constexpr std::string_view kExtensionPrefix = "x-ms-openmsp-";
inline constexpr std::string_view kAsksHeader = "x-ms-openmsp-asks";      ///< answers of the host
inline constexpr std::string_view kNonceHeader = "x-ms-openmsp-nonce";    ///< requests
inline constexpr std::string_view kCallerHeader = "x-ms-openmsp-caller";  ///< requests
/// The last line of what is signed, where a request has a nonce or a caller: an agent that does not know these headers
/// cannot be made to sign those of a client. No query holds a blank, so no other string to sign ends like this.
inline constexpr std::string_view kExtensionLine = "openmsp 1";

/// "nonce:<16 hex digits> caller"; words that are not known mean nothing.
struct Asks {
  std::optional<std::uint64_t> epoch;  ///< nonces are wanted, and begin with this: another one after each start
  bool caller = false;

  bool operator==(const Asks&) const = default;
};
Asks parse_asks(std::string_view text);
/// Empty where nothing is asked for.
std::string format_asks(const Asks& asks);

/// "<epoch>.<stream>.<counter>": two times 16 hex digits, and a decimal number without leading zeros.
struct Nonce {
  std::uint64_t epoch = 0;    ///< the host's
  std::uint64_t stream = 0;   ///< random, of one start of the agent
  std::uint64_t counter = 0;  ///< 1, 2, 3 … in that stream

  bool operator==(const Nonce&) const = default;
};
inline constexpr std::size_t kMostNonceSize = 16 + 1 + 16 + 1 + 20;
std::optional<Nonce> parse_nonce(std::string_view text);
std::string_view format_nonce(const Nonce& nonce, std::span<char, kMostNonceSize> out);

/// Who has asked, as far as the agent knows; empty texts are not known. In what is parsed, texts are any bytes.
template <class Text>
struct BasicCaller {
  std::optional<std::uint32_t> uid;
  Text user{};
  Text executable{};
  Text process{};
  Text unit{};
  Text denied{};  ///< audit mode lets it pass; the rules, enforced, would refuse it for this reason

  bool operator==(const BasicCaller&) const = default;
};
using CallerView = BasicCaller<std::string_view>;
using Caller = BasicCaller<std::string>;

/// Longer ones are left out when written, and refused when read; bytes, before they are escaped.
inline constexpr std::size_t kMostCallerText = 512;

/// "uid=1000 user=app exe=/usr/bin/curl process=curl unit=a.service denied=identity_mismatch"; what is no plain
/// character is %XX. Replaces `out`.
void format_caller(const CallerView& caller, std::string& out);
/// None unless each word is known at most once, and well formed; words that are not known mean nothing.
std::optional<Caller> parse_caller(std::string_view text);

}  // namespace msp::protocol
