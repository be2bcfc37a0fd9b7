// SPDX-License-Identifier: Apache-2.0
#include "gateway/hostga.h"

#include "gateway/wireserver.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kPluginVersions = R"(["2015-09-01"])";
constexpr std::string_view kStatus = "/status";

Answer json_answer(std::string body) {
  http::Response response;
  response.header("content-type", "application/json; charset=utf-8").header("cache-control", "no-store");
  return {.response = std::move(response.body(std::move(body)))};
}

/// An agent whose goal state is of another life of this machine.
bool is_stale(const Asked& asked) {
  const std::string_view container = asked.header("x-ms-containerid");
  return !container.empty() && !http::iequals(container, asked.machine().goal_state.container_id);
}

Answer vm_settings(const Asked& asked) {
  const content::Machine& machine = asked.machine();
  if (is_stale(asked)) {
    return refuse(asked.request, Reason::kStaleGoalState);
  }
  if (asked.header("if-none-match") == machine.vm_settings_tag) {
    Answer unchanged{.response = http::Response(304)};
    unchanged.response.header("etag", machine.vm_settings_tag);
    return unchanged;
  }
  // Without quotes: agents of the field make a file name of it, and send back what they got.
  Answer answer = json_answer(machine.vm_settings);
  answer.response.header("etag", machine.vm_settings_tag);
  return answer;
}

/// `as_blob`: an agent that writes its blob itself, to the URL that it was given.
Answer take_status(const Asked& asked, bool as_blob) {
  if (is_stale(asked)) {
    return refuse(asked.request, Reason::kStaleGoalState);
  }
  auto status = as_blob ? content::parse_status_document(std::string(asked.request.body))
                        : content::parse_status_upload(asked.request.body);
  if (!status) {
    return refuse(asked.request, Reason::kBadReport);
  }
  asked.state.reports.status(asked.vm.model.vm_id, std::move(*status), asked.now_ns);
  return {.response = http::Response(as_blob ? 201 : 200)};
}

Answer take_log(const Asked& asked) {
  if (is_stale(asked)) {
    return refuse(asked.request, Reason::kWrongContainer);
  }
  asked.state.reports.log(asked.vm.model.vm_id, asked.request.body_bytes, asked.now_ns);
  return {.response = http::Response(200)};
}

}  // namespace

Answer answer_hostga(const Asked& asked) {
  const http::Request& request = asked.request;
  const std::string_view path = request.target.path;
  const std::string_view method = request.head.method;
  if (is_exempt(Service::kHostGaPlugin, request)) {
    return take_log(asked);
  }
  if (path == "/versions" || path == "/health" || path == "/vmSettings") {
    if (method != "GET") {
      return refuse_method(request, "GET");
    }
    if (path == "/health") {
      return {.response = http::Response(200)};
    }
    return path == "/versions" ? json_answer(std::string(kPluginVersions)) : vm_settings(asked);
  }
  const bool as_blob =
      path.starts_with("/status/") && path.substr(kStatus.size() + 1) == asked.machine().goal_state.container_id;
  if (path == kStatus || as_blob) {
    return method == "PUT" ? take_status(asked, as_blob) : refuse_method(request, "PUT");
  }
  return refuse(request, Reason::kNotFound);
}

}  // namespace msp::gateway
