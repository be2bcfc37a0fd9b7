// SPDX-License-Identifier: Apache-2.0
#include "authoring/asked.h"

#include <fmt/core.h>

#include "http/head.h"
#include "protocol/headers.h"
#include "request/destination.h"
#include "request/traversal.h"

namespace msp::authoring {
namespace {

constexpr std::string_view kSayService = "give the whole URL, or say --service imds, wireserver or hostga";

const Ipv4Endpoint& endpoint_of(Service service) {
  switch (service) {
    case Service::kImds:
      return kImdsEndpoint;
    case Service::kWireServer:
      return kWireServerEndpoint;
    case Service::kHostGaPlugin:
      return kHostGaPluginEndpoint;
  }
  return kImdsEndpoint;
}

http::Refusal refused(request::Fault fault) {
  return {request::status_of(fault), request::code_of(fault), request::describe(fault)};
}

}  // namespace

Result<Url> read_url(std::string_view url, std::optional<Service> service) {
  const std::size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos || url.starts_with('/')) {
    if (!service) {
      return config_error(fmt::format("\"{}\" does not say which service is asked", url), std::string(kSayService));
    }
    return Url{.service = *service, .host = address_text(endpoint_of(*service)), .target = std::string(url)};
  }
  if (!http::iequals(url.substr(0, scheme_end), "http")) {
    return config_error(fmt::format("\"{}\" is not asked by http", url), "the metadata services speak plain http");
  }
  const std::string_view rest = url.substr(scheme_end + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  Url out;
  request::Destination destination;
  const bool readable = request::classify_authority(authority, destination) == request::Fault::kNone;
  const std::optional<Service> named = readable ? destination.service : std::nullopt;
  if (!named && !service) {
    return config_error(fmt::format("\"{}\" is not the address of a metadata service", authority),
                        "they are 169.254.169.254 (imds), 168.63.129.16 (wireserver), 168.63.129.16:32526 (hostga)");
  }
  out.service = named ? *named : *service;
  out.host = authority;
  out.target = rest.substr(authority.size());
  if (!out.target.starts_with('/')) {
    out.target.insert(0, 1, '/');
  }
  return out;
}

void Asked::ask(std::string_view method, const Url& url) {
  method_ = method;
  text_ = url.target;
  view_ = {};
  view_.service = url.service;
  read(url.host);
}

void Asked::ask(Service service, std::string_view method, std::string_view target) {
  method_ = method;
  text_ = target;
  view_ = {};
  view_.service = service;
  read(address_text(endpoint_of(service)));
}

// In the order of the agent: proxy/admission.cpp.
void Asked::read(std::string_view host) {
  arena_.reset();
  refusal_ = {.status = 0, .code = {}, .what = {}};
  const auto target = http::parse_target(text_);
  if (!target) {
    refusal_ = target.error();
    return;
  }
  target_ = *target;
  refusal_ = screened(host);
  view_.exempt = protocol::is_exempt(method_, target_);
  view_.method = method_;
  view_.path = target_.path;
  view_.query = target_.query;
  view_.fault = request::canonicalize(method_, target_, arena_, canonical_);
  view_.canonical = view_.fault == request::Fault::kNone ? &canonical_ : nullptr;
}

http::Refusal Asked::screened(std::string_view host) const {
  if (!request::parse_method(method_)) {
    return refused(request::Fault::kMethodNotAllowed);
  }
  http::RequestHead head;
  head.method = method_;
  head.target = text_;
  head.headers.push({.name = "host", .value = host});
  request::Fault fault = request::screen(head, target_, {.endpoint = endpoint_of(view_.service), .names = {}});
  if (fault == request::Fault::kNone && request::reaches_secure_channel(target_.path)) {
    fault = request::Fault::kSecureChannel;
  }
  return refused(fault);
}

}  // namespace msp::authoring
