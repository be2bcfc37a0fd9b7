// SPDX-License-Identifier: Apache-2.0
#include "gateway/wireserver.h"

#include <fmt/format.h>

#include "base/crypto_cms.h"
#include "base/log.h"
#include "protocol/headers.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kVersionsDocument =
    R"(<?xml version="1.0" encoding="utf-8"?>)"
    "<Versions><Preferred><Version>2015-04-05</Version></Preferred>"
    "<Supported><Version>2015-04-05</Version><Version>2012-11-30</Version></Supported></Versions>";
constexpr std::string_view kMachine = "/machine";
constexpr std::string_view kVersionHeader = "x-ms-version";
constexpr std::string_view kCertificateHeader = "x-ms-guest-agent-public-x509-cert";
constexpr std::string_view kCipherHeader = "x-ms-cipher-name";

Answer document(std::string body) {
  http::Response response;
  response.header("content-type", "text/xml; charset=utf-8").header("cache-control", "no-store");
  return {.response = std::move(response.body(std::move(body)))};
}

Answer done(int status = 200) { return {.response = http::Response(status)}; }

Answer take_health(const Asked& asked) {
  auto report = content::parse_health_report(asked.request.body);
  if (!report) {
    return refuse(asked.request, Reason::kBadReport);
  }
  if (!http::iequals(report->container_id, asked.machine().goal_state.container_id)) {
    return refuse(asked.request, Reason::kStaleGoalState);
  }
  const std::string& vm_id = asked.vm.model.vm_id;
  if (const content::GuestReport* before = asked.state.reports.find(vm_id);
      before == nullptr || before->health.state != report->state) {
    log::info("{} reports {} {}", asked.vm.model.name, report->state, log::escape(report->sub_status));
  }
  asked.state.reports.health(vm_id, std::move(*report), asked.header("user-agent"), asked.now_ns);
  return done();
}

/// Posts below /machine: what agents report.
Answer take_report(const Asked& asked, std::string_view component) {
  if (component == "health") {
    return take_health(asked);
  }
  if (http::iequals(component, "telemetrydata")) {
    asked.state.reports.telemetry(asked.vm.model.vm_id, asked.request.body_bytes, asked.now_ns);
    return done();
  }
  return component == "roleProperties" ? done(202) : refuse(asked.request, Reason::kNotFound);
}

std::optional<EnvelopeCipher> cipher_of(std::string_view name) {
  if (name.empty() || name == "DES_EDE3_CBC") {
    return EnvelopeCipher::kTripleDes;
  }
  if (name == "AES128_CBC") {
    return EnvelopeCipher::kAes128;
  }
  return name == "AES256_CBC" ? std::optional(EnvelopeCipher::kAes256) : std::nullopt;
}

/// For the certificate that the client sends, and no other.
Answer certificates(const Asked& asked) {
  const content::Machine& machine = asked.machine();
  if (machine.certificates.empty()) {
    return refuse(asked.request, Reason::kNotFound);
  }
  const auto transport = base64_decode(asked.header(kCertificateHeader));
  const auto cipher = cipher_of(asked.header(kCipherHeader));
  if (!transport || transport->empty() || !cipher) {
    return refuse(asked.request, Reason::kBadCertificate);
  }
  const auto envelope = cms_envelope(machine.certificates, *transport, *cipher);
  if (!envelope) {
    if (envelope.error().source != Source::kClient) {
      log::write(envelope.error());
    }
    return refuse(asked.request, Reason::kBadCertificate);
  }
  return document(content::certificates_document(machine.goal_state, base64_encode(*envelope)));
}

/// The documents that the goal state names, each for this container and incarnation only.
Answer config(const Asked& asked) {
  const content::GoalState& goal = asked.machine().goal_state;
  const http::Target& target = asked.request.target;
  if (target.path != fmt::format("{}/{}/{}", kMachine, goal.container_id, goal.instance_id) ||
      parameter(target.query, "incarnation") != goal.incarnation) {
    return refuse(asked.request, Reason::kStaleGoalState);
  }
  const std::string_view component = parameter(target.query, "comp");
  if (component == "certificates") {
    return certificates(asked);
  }
  const std::string_view type = parameter(target.query, "type");
  if (component == "config" && http::iequals(type, "hostingEnvironmentConfig")) {
    return document(content::hosting_environment_document(goal));
  }
  if (component == "config" && http::iequals(type, "sharedConfig")) {
    return document(content::shared_config_document(goal));
  }
  if (component == "config" && http::iequals(type, "extensionsConfig")) {
    return document(content::extensions_document(goal));
  }
  return refuse(asked.request, Reason::kNotFound);
}

Answer machine(const Asked& asked) {
  const http::Target& target = asked.request.target;
  const std::string_view component = parameter(target.query, "comp");
  const std::string_view below = target.path.substr(kMachine.size());
  const bool top = below.empty() || below == "/";
  if (top && asked.request.head.method == "POST") {
    return take_report(asked, component);
  }
  if (asked.request.head.method != "GET") {
    return refuse_method(asked.request, top ? "GET, POST" : "GET");
  }
  if (top && component != "goalstate") {
    return refuse(asked.request, Reason::kNotFound);
  }
  // What a request cannot have that somebody was only tricked into sending.
  if (asked.header(kVersionHeader).empty()) {
    return refuse(asked.request, Reason::kVersionHeaderMissing);
  }
  return top ? document(content::goal_state_document(asked.machine().goal_state)) : config(asked);
}

}  // namespace

std::string_view parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto amp = query.find('&');
    const std::string_view part = query.substr(0, amp);
    const auto equals = part.find('=');
    if (equals != std::string_view::npos && http::iequals(part.substr(0, equals), name)) {
      return part.substr(equals + 1);
    }
    query = amp == std::string_view::npos ? std::string_view{} : query.substr(amp + 1);
  }
  return {};
}

Answer answer_wireserver(const Asked& asked) {
  const http::Request& request = asked.request;
  const std::string_view path = request.target.path;
  if (path == "/" && parameter(request.target.query, "comp") == "versions") {
    return request.head.method == "GET" ? document(std::string(kVersionsDocument)) : refuse_method(request, "GET");
  }
  // The request that goes unsigned is known by its whole target in any case, so it comes before the paths.
  if (is_exempt(Service::kWireServer, request)) {
    return take_report(asked, "telemetrydata");
  }
  if (path == kMachine || path.starts_with("/machine/")) {
    return machine(asked);
  }
  if (path == "/HealthService") {
    if (request.head.method != "POST") {
      return refuse_method(request, "POST");
    }
    asked.state.reports.observation(asked.vm.model.vm_id, request.body_bytes, asked.now_ns);
    return done();
  }
  return refuse(request, Reason::kNotFound);
}

bool is_exempt(Service service, const http::Request& request) {
  if (service == Service::kImds || !protocol::is_exempt(request.head.method, request.target)) {
    return false;
  }
  return (request.head.method == "PUT") == (service == Service::kHostGaPlugin);
}

}  // namespace msp::gateway
