// SPDX-License-Identifier: Apache-2.0
// Records as bytes in the queue, and the limits of their texts.
// Encoded by the data loop, decoded by the writer thread of another process; memory only, never on disk.
// Never fails: texts are cut at their limits.
#pragma once

#include <cstddef>
#include <span>

#include "audit/record.h"

namespace msp::audit {

inline constexpr std::size_t kMaxTarget = 2048;
inline constexpr std::size_t kMaxPath = 512;
inline constexpr std::size_t kMaxRuleSet = 512;  ///< ids of ARM resources are longer than names
inline constexpr std::size_t kMaxName = 128;

std::size_t encoded_size(const Record& record);
/// `out` has encoded_size(record) bytes.
void encode(const Record& record, char* out);
/// Sum of the text sizes as they are, with room for what redaction adds.
std::size_t text_bound(const Record& record);
/// Whether encode() could have written these bytes: decode() takes no others.
bool well_formed(std::span<const char> bytes);
/// The views point into `bytes`.
Record decode(std::span<const char> bytes);
/// The bytes of an encoded record that say all but when it was, in which connection, how much and how long: the
/// requests that a process makes one after the other have them alike.
std::span<const char> common_part(std::span<const char> bytes);

}  // namespace msp::audit
