// SPDX-License-Identifier: Apache-2.0
#include "proxy/admission.h"

#include <array>

#include "protocol/headers.h"
#include "request/traversal.h"

namespace msp::proxy {
namespace {

Answer fault_answer(request::Fault fault) {
  return {request::status_of(fault), request::code_of(fault), request::describe(fault)};
}

}  // namespace

std::optional<Answer> read_request(Exchange& x, const Settings& settings) {
  const auto target = http::parse_target(x.head.target);
  if (!target) {
    return refuse(target.error());
  }
  x.target = *target;
  const auto framing = http::request_framing(x.head);
  if (!framing) {
    return refuse(framing.error());
  }
  x.framing = *framing;
  x.body_pending = framing->has_body();
  x.persistent = http::connection_options(x.head.headers).persistent(x.head.minor_version);
  x.exempt = protocol::is_exempt(x.head.method, x.target);
  if (framing->kind == http::BodyKind::kLength &&
      framing->length > (x.exempt ? settings.max_exempt_body_bytes : settings.max_signed_body_bytes)) {
    return body_too_large();
  }
  if (!request::parse_method(x.head.method)) {
    return fault_answer(request::Fault::kMethodNotAllowed);
  }
  return std::nullopt;
}

std::expected<Addressed, Answer> addressee(const identity::ConnectionIdentity& caller, std::optional<Service> service,
                                           const Settings& settings) {
  if (!caller.known) {
    return std::unexpected(no_identity());
  }
  if (caller.direct) {
    return std::unexpected(direct_connection());
  }
  if (!service) {
    return std::unexpected(unknown_destination());
  }
  const ServiceSettings& to = settings.of(*service);
  return Addressed{*service, {to.endpoint, to.host_names}};
}

request::Addressee at_listener(const Ipv4Endpoint& listener) {
  static const std::array<std::string, 1> names{"localhost"};
  return {listener, names};
}

std::optional<Answer> screen_request(Exchange& x, const request::Addressee& to) {
  request::Fault fault = request::screen(x.head, x.target, to);
  if (fault == request::Fault::kNone && request::reaches_secure_channel(x.target.path)) {
    fault = request::Fault::kSecureChannel;
  }
  if (fault == request::Fault::kNone) {
    fault = request::normalize_headers(x.head, x.arena, x.headers);
  }
  if (fault != request::Fault::kNone) {
    return fault_answer(fault);
  }
  x.canonical_fault = request::canonicalize(x.head.method, x.target, x.arena, x.canonical);
  return std::nullopt;
}

policy::Decision decide(const Exchange& x, const identity::ConnectionIdentity& caller,
                        const policy::Snapshot& snapshot) {
  policy::RequestView view;
  view.service = x.service;
  view.exempt = x.exempt;
  view.method = x.head.method;
  view.path = x.target.path;
  view.query = x.target.query;
  view.canonical = x.canonical_fault == request::Fault::kNone ? &x.canonical : nullptr;
  view.fault = x.canonical_fault;
  return policy::decide(caller, view, snapshot);
}

Answer denial_answer(const policy::Denial& denial) {
  if (denial.reason == policy::Reason::kNotCanonical) {
    return fault_answer(denial.fault);
  }
  return denied(denial.service, denial.code());
}

namespace {

void note(audit::Record& record, const policy::DryRun& dry_run, const policy::RuleSet* rules) {
  if (dry_run.verdict == policy::Verdict::kNotRun) {
    return;
  }
  record.dry_run = dry_run.verdict == policy::Verdict::kAllow ? audit::DryRun::kAllow : audit::DryRun::kDeny;
  const policy::RuleNames names = policy::names_of(dry_run, rules);
  record.dry_run_privilege = names.privilege;
  record.dry_run_role = names.role;
  record.dry_run_identity = names.identity;
}

}  // namespace

void note(audit::Record& record, const policy::Permit& permit) {
  record.decision = permit.audit_only() ? audit::Decision::kAudit : audit::Decision::kPermit;
  record.reason = permit.audit_only() ? policy::to_string(permit.audit_reason()) : std::string_view();
  record.rule_set = permit.names().rule_set_id;
  record.privilege = permit.names().privilege;
  record.role = permit.names().role;
  record.identity = permit.names().identity;
  record.divergence = permit.verdicts().diverge();
  note(record, permit.dry_run(), permit.rules());
}

void note(audit::Record& record, const policy::Denial& denial) {
  record.decision = audit::Decision::kDeny;
  record.rule_set = denial.nearest.rule_set_id;
  record.privilege = denial.nearest.privilege;
  record.role = denial.nearest.role;
  record.identity = denial.nearest.identity;
  record.divergence = denial.verdicts.diverge();
  note(record, denial.dry_run, denial.rules.get());
}

void fill_caller(audit::Record& record, const identity::ConnectionIdentity& caller, const Exchange* x,
                 std::optional<Service> service) {
  record.has_caller = caller.known;
  record.uid = caller.uid;
  record.gid = caller.gid;
  record.pid = caller.tgid;
  record.start_time_ns = caller.start_time_ns;
  record.cgroup_id = caller.cgroup_id;
  record.user = caller.user_name;
  record.exe = caller.exe_path;
  if (!caller.exe_rule_paths.empty()) {
    record.exe_rule = caller.exe_rule_paths.front();
  }
  if (caller.cgroup) {
    record.cgroup = caller.cgroup->path;
  }
  record.process = caller.comm;
  if (record.service.empty() && service) {
    record.service = to_string(*service);
  }
  if (x != nullptr) {
    record.method = x->head.method;
    record.target = x->head.target;
  }
}

}  // namespace msp::proxy
