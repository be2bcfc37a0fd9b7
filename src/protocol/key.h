// SPDX-License-Identifier: Apache-2.0
// The key document: answer of POST /secure-channel/key, and content of a key file (protocol.md C.2, C.3).
// Values with one owner; any thread.
// Text from a host or a file is checked (L.11, L.13) and refused as a whole; errors never quote the key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "base/secret.h"

namespace msp::protocol {

inline constexpr std::size_t kKeyBytes = 32;

struct KeyDocument {
  std::string guid;  ///< GUID syntax, case as received
  std::optional<std::uint32_t> incarnation_id;
  std::string issued;  ///< ISO 8601 time, not interpreted: 1 to 64 printable ASCII bytes
  Secret key_hex;      ///< 64 hex digits, case as received

  /// The 32 bytes that the digits stand for.
  Result<Secret> key() const { return Secret::from_hex(key_hex.reveal()); }
};

/// `source`: whose fault a bad document is (kHost, or kConfig for a file). The caller wipes `text`.
Result<KeyDocument> parse_key_document(std::string_view text, Source source);

/// Members in the order of C.3, no newline at the end. kPretty is the form of the key file.
Secret write_key_document(const KeyDocument& document, json::Style style);

}  // namespace msp::protocol
