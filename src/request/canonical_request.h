// SPDX-License-Identifier: Apache-2.0
// The one parse of a request that everything after it uses: screened (protocol.md J.2, rows 1, 5, 6), then canonical
// (F). Pure functions of the loop's thread; results point into the caller's arena and into the bytes of the head. The
// canonical form decides and is never sent: method, path and query go out byte for byte as received.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/net.h"
#include "http/head.h"
#include "http/target.h"
#include "request/arena.h"
#include "request/canonical_path.h"
#include "request/canonical_query.h"
#include "request/destination.h"
#include "request/fault.h"

namespace msp::request {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kDelete, kOptions, kPatch };
inline constexpr std::array kMethods = {Method::kGet,    Method::kHead,    Method::kPost, Method::kPut,
                                        Method::kDelete, Method::kOptions, Method::kPatch};

/// Case-sensitive; none for every other method.
std::optional<Method> parse_method(std::string_view text);
std::string_view to_string(Method method);
/// Value of the `allow` header of a 405.
inline constexpr std::string_view kAllowedMethods = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH";

/// Where a request was sent to, as the kernel recorded it.
struct Addressee {
  Ipv4Endpoint endpoint;
  std::span<const std::string> names;  ///< further names that Host may carry, configured for this endpoint
};

/// First of: authority-form, `*` without OPTIONS, userinfo, foreign authority, Host missing (HTTP/1.1), repeated or
/// foreign, method, traversal. `head` and `target` hold bytes from the client.
Fault screen(const http::RequestHead& head, const http::Target& target, const Addressee& addressee);

struct CanonicalRequest {
  Method method = Method::kGet;
  Destination destination;  ///< what the target's authority says; routing and rules never use it
  CanonicalPath path;
  CanonicalQuery query;
};

/// All of protocol.md F, steps 1 to 13; authority-form counts as the path "/".
Fault canonicalize(std::string_view method, const http::Target& target, Arena& arena, CanonicalRequest& out);

}  // namespace msp::request
