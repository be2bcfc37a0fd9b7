// SPDX-License-Identifier: Apache-2.0
// Compares executable paths by components, as the field does for `exePath` (protocol.md E.3).
// Pure functions, no memory; any thread.
// Nothing fails: `..` is a component like any other, nothing is resolved.
#pragma once

#include <cstddef>
#include <string_view>

namespace msp::policy {

/// Repeated '/', inner '.' and a trailing '/' do not count; a leading '/' and a leading '.' do. Case and bytes are
/// exact.
bool same_components(std::string_view a, std::string_view b);
/// Equal for paths of the same components; others may collide.
std::size_t component_hash(std::string_view path);

}  // namespace msp::policy
