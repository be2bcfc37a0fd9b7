// SPDX-License-Identifier: Apache-2.0
#include "request/canonical_request.h"

#include <array>

#include "request/traversal.h"

namespace msp::request {
namespace {

using enum http::TargetForm;

constexpr std::array<std::string_view, 7> kMethodNames{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};

Fault check_form(std::string_view method, const http::Target& target) {
  if (target.form == kAuthority) {
    return method == "CONNECT" ? Fault::kMethodNotAllowed : Fault::kAuthorityForm;
  }
  if (target.form == kAsterisk && method != "OPTIONS") {
    return Fault::kAsteriskForm;
  }
  return target.authority.contains('@') ? Fault::kUserinfo : Fault::kNone;
}

Fault check_host(const http::RequestHead& head, const http::Target& target, const Addressee& addressee) {
  if (target.form == kAbsolute && !host_fits(target.authority, addressee.endpoint, addressee.names)) {
    return Fault::kHostForeign;
  }
  const std::size_t hosts = head.headers.count("host");
  if (hosts == 0) {
    return head.minor_version == 0 ? Fault::kNone : Fault::kHostMissing;
  }
  if (hosts > 1) {
    return Fault::kHeaderRepeated;
  }
  return host_fits(head.headers.value("host"), addressee.endpoint, addressee.names) ? Fault::kNone
                                                                                    : Fault::kHostForeign;
}

}  // namespace

std::optional<Method> parse_method(std::string_view text) {
  for (std::size_t i = 0; i < kMethodNames.size(); ++i) {
    if (text == kMethodNames[i]) {
      return static_cast<Method>(i);
    }
  }
  return std::nullopt;
}

std::string_view to_string(Method method) { return kMethodNames[static_cast<std::size_t>(method)]; }

Fault screen(const http::RequestHead& head, const http::Target& target, const Addressee& addressee) {
  Fault fault = check_form(head.method, target);
  if (fault == Fault::kNone) {
    fault = check_host(head, target, addressee);
  }
  if (fault == Fault::kNone && !parse_method(head.method)) {
    fault = Fault::kMethodNotAllowed;
  }
  if (fault == Fault::kNone && has_traversal(target.path)) {
    fault = Fault::kPathTraversal;
  }
  return fault;
}

Fault canonicalize(std::string_view method, const http::Target& target, Arena& arena, CanonicalRequest& out) {
  if (!target.scheme.empty() && !http::iequals(target.scheme, "http")) {
    return Fault::kCanonScheme;
  }
  const std::optional<Method> known = parse_method(method);
  if (!known) {
    return Fault::kCanonMethod;
  }
  out.method = *known;
  out.destination = Destination{};
  if (target.form == kAbsolute || target.form == kAuthority) {
    if (target.authority.contains('@')) {
      return Fault::kCanonUserinfo;
    }
    if (const Fault fault = classify_authority(target.authority, out.destination); fault != Fault::kNone) {
      return fault;
    }
  }
  if (const Fault fault = canonicalize_path(target.path, arena, out.path); fault != Fault::kNone) {
    return fault;
  }
  return canonicalize_query(target.query, arena, out.query);
}

}  // namespace msp::request
