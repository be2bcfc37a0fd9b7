// SPDX-License-Identifier: Apache-2.0
#include "gateway/imds.h"

#include <algorithm>

#include "base/ascii.h"
#include "content/instance.h"
#include "gateway/header_spelling.h"
#include "gateway/imds_answer.h"
#include "gateway/imds_documents.h"
#include "gateway/imds_identity.h"
#include "gateway/imds_query.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kInstance = "/metadata/instance";

Answer instance(const content::Machine& machine, std::string_view path, const ImdsQuery& query) {
  const std::string_view version = query.find("api-version").value_or(std::string_view{});
  if (!is_api_version(version)) {
    return imds_version_error();
  }
  const auto format = query.find("format");
  const bool text = format && http::iequals(*format, "text");
  if (format && !text && !http::iequals(*format, "json")) {
    return imds_error(Reason::kBadQuery);
  }
  const bool newest = content::has_all_of_it(version);
  if (!text && path.find_first_not_of('/') == std::string_view::npos) {
    return imds_json(newest ? machine.instance_text : machine.older_instance.text(machine.instance_text, version));
  }
  json::Value document = content::instance_of(machine.instance_text);
  if (!newest) {
    document = content::as_of(document, version);
  }
  const json::Value* value = content::walk(document, path);
  if (value == nullptr) {
    return imds_error(Reason::kNotFound);
  }
  if (text) {
    return {.response = http::Response::text(200, content::as_text(*value))};
  }
  if (value->is_string()) {
    return imds_error(Reason::kBadQuery);  // a leaf has no JSON form in the contract
  }
  return imds_json(json::to_text(*value));
}

/// What holds for every path; nothing: go on.
std::optional<Answer> unfit(const Asked& asked) {
  if (is_forwarded(asked.request)) {
    return imds_error(Reason::kForwardedRequest);
  }
  if (!http::iequals(asked.header("metadata"), "true")) {
    constexpr Reason kReason = Reason::kMetadataHeaderMissing;
    return asked.request.target.path.starts_with(kIdentityPath)
               ? imds_identity_error(kReason, 400, "bad_request_102", "Required metadata header not specified")
               : imds_error(kReason);
  }
  return std::nullopt;
}

}  // namespace

bool is_forwarded(const http::Request& request) {
  return std::ranges::any_of(request.head.headers, [](const http::Header& header) {
    return usual_spelling(header.name) == "x-forwarded-for";
  });
}

Answer answer_imds(const Asked& asked) {
  if (auto refusal = unfit(asked)) {
    return std::move(*refusal);
  }
  const http::Request& request = asked.request;
  const std::string_view path = request.target.path;
  if (request.head.method != "GET" && path != kEventsPath) {
    return refuse_method(request, "GET");
  }
  const ImdsQuery query(request.target.query);
  const bool identity = path.starts_with(kIdentityPath);
  if (!query.good()) {
    return identity ? imds_identity_error(Reason::kBadQuery, 400, "invalid_request", facts(Reason::kBadQuery).advice)
                    : imds_error(Reason::kBadQuery);
  }
  if (path == "/metadata/versions") {
    return imds_versions();
  }
  if (path.starts_with(kInstance) && (path.size() == kInstance.size() || path[kInstance.size()] == '/')) {
    return instance(asked.machine(), path.substr(kInstance.size()), query);
  }
  if (path == kEventsPath) {
    return answer_events(asked, query);
  }
  if (path == kAttestedPath) {
    return answer_attested(asked, query);
  }
  if (path == kLoadBalancerPath) {
    return answer_load_balancer(asked, query);
  }
  return identity ? answer_identity(asked, query) : imds_error(Reason::kNotFound);
}

}  // namespace msp::gateway
