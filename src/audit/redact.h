// SPDX-License-Identifier: Apache-2.0
// Takes secrets out of request targets before they are written anywhere.
// Pure; any thread. The target is as the client sent it.
// Never fails: what cannot be read as a query is left as it is.
#pragma once

#include <string>
#include <string_view>

namespace msp::audit {

/// True for names of query keys whose values are replaced: those that contain (in any case, percent-decoded) token,
/// secret, passw, signature, credential or assertion, or that end in sig, key, code or pwd.
bool looks_secret(std::string_view key);

/// Values of such keys, user information before a host (up to the last "@" of the authority), and what follows "#"
/// become "redacted". The result is the target itself where nothing is secret, else the text in `scratch`.
std::string_view redact_target(std::string_view target, std::string& scratch);

}  // namespace msp::audit
