// SPDX-License-Identifier: Apache-2.0
#include "gateway/wireserver.h"

#include "protocol/headers.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kVersionsDocument =
    R"(<?xml version="1.0" encoding="utf-8"?>)"
    "<Versions><Preferred><Version>2015-04-05</Version></Preferred>"
    "<Supported><Version>2015-04-05</Version><Version>2012-11-30</Version></Supported></Versions>";
constexpr std::string_view kPluginVersions = R"(["2015-09-01"])";

Answer with_body(std::string_view type, std::string_view body) {
  http::Response response;
  response.header("content-type", type).body(std::string(body));
  return {.response = std::move(response)};
}

/// The first value of `comp`, as WireServer takes it: further parameters do not matter, names in any case.
std::string_view component(std::string_view query) {
  constexpr std::string_view kName = "comp=";
  while (!query.empty()) {
    const auto amp = query.find('&');
    const std::string_view part = query.substr(0, amp);
    if (http::iequals(part.substr(0, kName.size()), kName)) {
      return part.substr(kName.size());
    }
    query = amp == std::string_view::npos ? std::string_view{} : query.substr(amp + 1);
  }
  return {};
}

Answer empty_answer() { return {.response = http::Response(200)}; }

}  // namespace

Answer answer_wireserver(const http::Request& request) {
  const http::Target& target = request.target;
  if (target.path == "/" && component(target.query) == "versions") {
    return request.head.method == "GET" ? with_body("text/xml; charset=utf-8", kVersionsDocument)
                                        : refuse_method(request, "GET");
  }
  if (protocol::is_exempt(request.head.method, target) && request.head.method == "POST") {
    return empty_answer();
  }
  return refuse(request, Reason::kNotFound);
}

Answer answer_hostga(const http::Request& request) {
  const std::string_view path = request.target.path;
  if (path == "/versions" || path == "/health") {
    if (request.head.method != "GET") {
      return refuse_method(request, "GET");
    }
    return path == "/health" ? empty_answer() : with_body("application/json; charset=utf-8", kPluginVersions);
  }
  if (protocol::is_exempt(request.head.method, request.target) && request.head.method == "PUT") {
    return empty_answer();
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
