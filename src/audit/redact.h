// SPDX-License-Identifier: Apache-2.0
// Takes secrets out of request targets before they are written anywhere.
// Pure; any thread. The target is as the client sent it, or as a person mistyped it.
// Never fails: where it cannot be told what is a secret, more is taken out.
#pragma once

#include <string>
#include <string_view>

namespace msp::audit {

/// True for names of query keys whose values are replaced: those that contain (in any case, percent-decoded) token,
/// secret, passw, signature, credential or assertion, or that end in sig, key, code or pwd.
bool looks_secret(std::string_view key);

/// Values of such keys, user information, and what follows "#" become "redacted". It is found
/// in the path and in the query, percent-encoded or not:
///   - before an "@" where a host belongs: at once, behind a colon and slashes, behind "//" that begins a value;
///   - before an "@" between two slashes (or "&", ";" of the query), if there is a colon before it;
///   - as "name:password" where a host belongs and no port can be meant, up to the last "@": a password may have
///     separators. So it is where a name is an address, "me@corp.com:password". One that begins as a port, "u:80/x@h",
///     cannot be told from a host and its path.
/// So is what follows the first 64 pieces between such, where there is a colon, an "@" or a "%" at all.
/// The result is the target itself where nothing is secret, else the text in `scratch`.
std::string_view redact_target(std::string_view target, std::string& scratch);

}  // namespace msp::audit
