// SPDX-License-Identifier: Apache-2.0
#include "gateway/imds.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "content/instance.h"

namespace msp::gateway {
namespace {

// Oldest first.
constexpr std::array<std::string_view, 35> kVersions = {
    "2017-03-01", "2017-04-02", "2017-08-01", "2017-10-01", "2017-12-01", "2018-02-01", "2018-04-02",
    "2018-10-01", "2019-02-01", "2019-03-11", "2019-04-30", "2019-06-01", "2019-06-04", "2019-08-01",
    "2019-08-15", "2019-11-01", "2020-06-01", "2020-07-15", "2020-09-01", "2020-10-01", "2020-12-01",
    "2021-01-01", "2021-02-01", "2021-03-01", "2021-05-01", "2021-08-01", "2021-10-01", "2021-11-01",
    "2021-11-15", "2021-12-13", "2023-07-01", "2023-11-15", "2024-03-15", "2024-07-17", "2025-04-07"};
constexpr std::size_t kNewest = 3;

constexpr std::string_view kInstance = "/metadata/instance";
constexpr std::string_view kIdentity = "/metadata/identity/";

struct Query {
  bool good = true;  ///< no name twice
  std::optional<std::string_view> api_version;
  std::optional<std::string_view> format;
};

Query parse_query(std::string_view text) {
  Query query;
  std::array<std::string_view, 16> names;
  std::size_t count = 0;
  while (!text.empty()) {
    const auto amp = text.find('&');
    const std::string_view part = text.substr(0, amp);
    text = amp == std::string_view::npos ? std::string_view{} : text.substr(amp + 1);
    if (part.empty()) {
      continue;
    }
    const auto equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1);
    const auto seen = std::span(names).first(count);
    const auto same = [&](std::string_view other) { return http::iequals(name, other); };
    if (count == names.size() || std::any_of(seen.begin(), seen.end(), same)) {
      query.good = false;
      return query;
    }
    names[count++] = name;
    if (same("api-version")) {
      query.api_version = value;
    } else if (same("format")) {
      query.format = value;
    }
  }
  return query;
}

http::Response json_answer(int status, std::string body) {
  http::Response response(status);
  response.header("content-type", "application/json; charset=utf-8").body(std::move(body));
  return response;
}

std::string versions(std::string_view name, bool newest_only) {
  json::Writer writer;
  writer.begin_object();
  if (newest_only) {
    writer.field("error", facts(Reason::kApiVersion).advice);
  }
  writer.key(name).begin_array();
  if (newest_only) {
    for (std::size_t i = 1; i <= kNewest; ++i) {
      writer.value(kVersions[kVersions.size() - i]);
    }
  } else {
    for (const std::string_view version : kVersions) {
      writer.value(version);
    }
  }
  writer.end_array().end_object();
  return std::move(writer).take();
}

/// {"error": text}, as the public contract has it.
Answer contract_error(Reason reason) {
  json::Writer writer;
  writer.begin_object().field("error", facts(reason).advice).end_object();
  return {.response = json_answer(facts(reason).status, std::move(writer).take()), .reason = reason};
}

Answer identity_error(Reason reason, std::string_view code, std::string_view description) {
  json::Writer writer;
  writer.begin_object().field("error", code).field("error_description", description).end_object();
  return {.response = json_answer(400, std::move(writer).take()), .reason = reason};
}

// Any spelling that some proxy or library makes of it (attacks C10).
bool is_forwarded_for(std::string_view name) {
  constexpr std::string_view kName = "x-forwarded-for";
  return name.size() == kName.size() && std::equal(name.begin(), name.end(), kName.begin(), [](char a, char b) {
           const char lower = a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a;
           return (lower == '_' ? '-' : lower) == b;
         });
}

Answer instance(const Vm& vm, std::string_view path, const Query& query) {
  if (!query.api_version || std::find(kVersions.begin(), kVersions.end(), *query.api_version) == kVersions.end()) {
    return {.response = json_answer(400, versions("newest-versions", true)), .reason = Reason::kApiVersion};
  }
  const bool text = query.format && http::iequals(*query.format, "text");
  if (query.format && !text && !http::iequals(*query.format, "json")) {
    return contract_error(Reason::kBadQuery);
  }
  const json::Value* value = content::walk(vm.content.instance, path);
  if (value == nullptr) {
    return contract_error(Reason::kNotFound);
  }
  if (text) {
    return {.response = http::Response::text(200, content::as_text(*value))};
  }
  if (value->is_string()) {
    return contract_error(Reason::kBadQuery);  // a leaf has no JSON form in the contract
  }
  return {.response =
              json_answer(200, value == &vm.content.instance ? vm.content.instance_text : json::to_text(*value))};
}

}  // namespace

Answer answer_imds(const Vm& vm, const http::Request& request) {
  const std::string_view path = request.target.path;
  for (const http::Header& header : request.head.headers) {
    if (is_forwarded_for(header.name)) {
      return contract_error(Reason::kForwardedRequest);
    }
  }
  if (!http::iequals(request.head.headers.value("metadata"), "true")) {
    if (path.starts_with(kIdentity)) {
      return identity_error(Reason::kMetadataHeaderMissing, "bad_request_102",
                            "Required metadata header not specified");
    }
    return contract_error(Reason::kMetadataHeaderMissing);
  }
  if (request.head.method != "GET") {
    return refuse_method(request, "GET");
  }
  const Query query = parse_query(request.target.query);
  if (!query.good) {
    return contract_error(Reason::kBadQuery);
  }
  if (path == "/metadata/versions") {
    return {.response = json_answer(200, versions("apiVersions", false))};
  }
  if (path.starts_with(kInstance) && (path.size() == kInstance.size() || path[kInstance.size()] == '/')) {
    return instance(vm, path.substr(kInstance.size()), query);
  }
  if (path.starts_with(kIdentity)) {
    // What SDKs understand as "this machine has no identity" (they go on to their next source).
    return identity_error(Reason::kNotFound, "invalid_request", "Identity not found");
  }
  return contract_error(Reason::kNotFound);
}

}  // namespace msp::gateway
