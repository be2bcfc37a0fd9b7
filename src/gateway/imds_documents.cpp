// SPDX-License-Identifier: Apache-2.0
#include "gateway/imds_documents.h"

#include <algorithm>
#include <array>

#include "base/crypto.h"
#include "base/log.h"
#include "content/attested_document.h"
#include "gateway/imds_answer.h"
#include "http/date.h"

namespace msp::gateway {
namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;
constexpr std::string_view kAttestedSince = "2018-10-01";
constexpr std::string_view kLoadBalancerSince = "2020-10-01";
// Scheduled events have versions of their own, oldest first.
constexpr std::array<std::string_view, 7> kEventVersions = {"2017-03-01", "2017-08-01", "2017-11-01", "2019-01-01",
                                                            "2019-04-01", "2019-08-01", "2020-07-01"};
constexpr json::Options kLimits{
    .max_bytes = 16'384, .max_depth = 8, .max_nodes = 1000, .unique_members = true, .source = Source::kClient};

bool is_since(const ImdsQuery& query, std::string_view oldest) {
  const std::string_view version = query.find("api-version").value_or(std::string_view{});
  return is_api_version(version) && version >= oldest;
}

/// Types that came later are not shown to those who do not know them.
bool knows(std::string_view version, std::string_view type) {
  return (type != "Preempt" || version >= "2017-11-01") && (type != "Terminate" || version >= "2019-01-01");
}

std::string events_text(const content::ScheduledEvents::OfOne& of, std::string_view machine, std::string_view version) {
  json::Writer writer;
  writer.begin_object().field("DocumentIncarnation", of.incarnation).key("Events").begin_array();
  for (const content::ScheduledEvent& event : of.events) {
    if (!knows(version, event.type)) {
      continue;
    }
    const http::DateText date = http::format_date(event.not_before);
    writer.begin_object().field("EventId", event.id).field("EventStatus", event.started ? "Started" : "Scheduled");
    writer.field("EventType", event.type).field("ResourceType", "VirtualMachine").key("Resources").begin_array();
    writer.value(machine).end_array();
    writer.field("NotBefore", event.started ? std::string_view{} : std::string_view(date.data(), date.size()));
    if (version >= "2019-04-01") {
      writer.field("Description", event.description);
    }
    if (version >= "2019-08-01") {
      writer.field("EventSource", event.source);
    }
    if (version >= "2020-07-01") {
      writer.field("DurationInSeconds", event.duration_seconds);
    }
    writer.end_object();
  }
  return std::move(writer.end_array().end_object()).take();
}

/// {"StartRequests": [{"EventId": …}]}; nothing: it is not that.
std::optional<std::vector<std::string>> approved(std::string_view body) {
  const auto tree = json::parse(body, kLimits);
  const json::Value* requests = tree ? tree->find("StartRequests") : nullptr;
  if (requests == nullptr || requests->array() == nullptr) {
    return std::nullopt;
  }
  std::vector<std::string> ids;
  for (const json::Value& request : *requests->array()) {
    const json::Value* id = request.find("EventId");
    if (id == nullptr || !id->is_string()) {
      return std::nullopt;
    }
    ids.push_back(*id->string());
  }
  return ids;
}

}  // namespace

Answer answer_events(const Asked& asked, const ImdsQuery& query) {
  const std::string_view method = asked.request.head.method;
  if (method != "GET" && method != "POST") {
    return refuse_method(asked.request, "GET, POST");
  }
  const std::string_view version = query.find("api-version").value_or(std::string_view{});
  if (std::find(kEventVersions.begin(), kEventVersions.end(), version) == kEventVersions.end()) {
    return imds_version_error(kEventVersions);
  }
  const std::string& vm_id = asked.vm.model.vm_id;
  KeptEvents& events = asked.state.events;
  const content::ScheduledEvents::OfOne& of = events.at(vm_id, asked.now_ns / kNanoseconds);
  if (method == "GET") {
    return imds_json(events_text(of, asked.vm.model.name, version));
  }
  const auto ids = approved(asked.request.body);
  if (!ids || !events.approve(vm_id, *ids)) {
    return imds_error(Reason::kBadReport);
  }
  log::info("{} approves {} scheduled events", asked.vm.model.name, ids->size());
  return imds_json("{}");
}

Answer answer_attested(const Asked& asked, const ImdsQuery& query) {
  if (!is_since(query, kAttestedSince)) {
    return imds_version_error();
  }
  const std::string nonce = query.decoded("nonce");
  if (!content::is_nonce(nonce) || (nonce.empty() && query.find("nonce").value_or("") != "")) {
    return imds_error(Reason::kBadQuery);
  }
  if (asked.signers.documents == nullptr) {
    return imds_error(Reason::kNotFound);
  }
  const auto signature = asked.signers.documents->sign(
      content::attested_text(content::instance_of(asked.machine().instance_text), nonce, asked.now_ns / kNanoseconds));
  if (!signature) {
    log::write(signature.error());
    return imds_error(Reason::kStoreFailed);
  }
  json::Writer writer;
  writer.begin_object().field("encoding", "pkcs7").field("signature", base64_encode(*signature)).end_object();
  return imds_json(std::move(writer).take());
}

Answer answer_load_balancer(const Asked& asked, const ImdsQuery& query) {
  if (!is_since(query, kLoadBalancerSince)) {
    return imds_version_error();
  }
  const std::string& text = asked.machine().load_balancer;
  return text.empty() ? imds_error(Reason::kNotFound) : imds_json(text);
}

}  // namespace msp::gateway
