// SPDX-License-Identifier: Apache-2.0
#include "gateway/imds_answer.h"

#include <algorithm>
#include <array>

#include "base/json.h"

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

std::string versions_text() {
  json::Writer writer;
  writer.begin_object().key("apiVersions").begin_array();
  for (const std::string_view version : kVersions) {
    writer.value(version);
  }
  writer.end_array().end_object();
  return std::move(writer).take();
}

}  // namespace

Answer imds_json(std::string body, int status) {
  http::Response response(status);
  response.header("content-type", "application/json; charset=utf-8").body(std::move(body));
  return {.response = std::move(response)};
}

Answer imds_error(Reason reason) {
  json::Writer writer;
  writer.begin_object().field("error", facts(reason).advice).end_object();
  Answer answer = imds_json(std::move(writer).take(), facts(reason).status);
  answer.reason = reason;
  return answer;
}

Answer imds_identity_error(Reason reason, int status, std::string_view code, std::string_view description) {
  json::Writer writer;
  writer.begin_object().field("error", code).field("error_description", description).end_object();
  Answer answer = imds_json(std::move(writer).take(), status);
  answer.reason = reason;
  return answer;
}

bool is_api_version(std::string_view text) {
  return std::find(kVersions.begin(), kVersions.end(), text) != kVersions.end();
}

Answer imds_version_error() { return imds_version_error(kVersions); }

Answer imds_version_error(std::span<const std::string_view> versions) {
  json::Writer writer;
  writer.begin_object().field("error", facts(Reason::kApiVersion).advice).key("newest-versions").begin_array();
  for (std::size_t i = 1; i <= kNewest; ++i) {
    writer.value(versions[versions.size() - i]);
  }
  writer.end_array().end_object();
  Answer answer = imds_json(std::move(writer).take(), 400);
  answer.reason = Reason::kApiVersion;
  return answer;
}

Answer imds_versions() {
  static const std::string kText = versions_text();
  return imds_json(kText);
}

}  // namespace msp::gateway
