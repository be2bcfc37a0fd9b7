// SPDX-License-Identifier: Apache-2.0
// The admin API behind its socket: a request as bytes, to a host that has a machine, a scale set with an instance and a
// profile. What is refused, and what only asks, has changed nothing.
#include <unistd.h>

#include <string>

#include "fuzz/host_world.h"
#include "gateway/admin_server.h"

namespace {

using namespace msp;

constexpr std::string_view kProfile =
    R"({"id":"/s/galleries/g/inVMAccessControlProfiles/p/versions/1.0.0","properties":{"mode":"Enforce",)"
    R"("defaultAccess":"Deny"}})";
constexpr std::string_view kSet =
    R"({"id":"/s/virtualMachineScaleSets/web","name":"web","properties":{"virtualMachineProfile":{"securityProfile":{)"
    R"("proxyAgentSettings":{"enabled":true,"keyIncarnationId":1}}}}})";
constexpr std::string_view kInstance =
    R"({"id":"/s/virtualMachineScaleSets/web/virtualMachines/0","name":"web-0","properties":{)"
    R"("vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc96402"}})";
constexpr std::string_view kMachine =
    R"({"id":"/s/virtualMachines/vm-1","name":"vm-1","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc96401",)"
    R"("securityProfile":{"proxyAgentSettings":{"enabled":true,"keyIncarnationId":1,"imds":{)"
    R"("inVMAccessControlProfileReferenceId":"/s/galleries/g/inVMAccessControlProfiles/p/versions/1.0.0"}}}}})";

std::vector<gateway::GivenResource> resources() {
  return {{.text = std::string(kProfile)},
          {.text = std::string(kSet)},
          {.text = std::string(kInstance), .addresses = {{{10, 0, 0, 2}}}},
          {.text = std::string(kMachine), .addresses = {{{10, 0, 0, 1}}}}};
}

/// What there was before anybody asked, and the server in front of it.
struct Desk {
  Desk() : world(resources()), server(loop, buffers, *world.inventory, state, world.clock) {
    server.describe({}, world.store);
    state.reports.status("6f9619ff-8b86-4d01-b42d-00cf4fc96401",
                         {.state = "Ready", .version = "2", .message = {}, .document = R"({"a":1})"}, 1);
  }

  Loop loop;
  http::BufferPool buffers;
  fuzz::HostWorld world;
  gateway::GuestState state{1 << 20};
  gateway::AdminServer server;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::quiet();
  static std::optional<Desk> desk;
  if (!desk) {
    desk.emplace();
  }
  http::ConnectionInfo owner;
  owner.peer_uid = ::geteuid();
  fuzz::BytesAsRequest bytes(fuzz::text(data, size), owner);
  if (!bytes.good()) {
    return 0;
  }
  const http::Request& request = bytes.request();
  FUZZ_CHECK(desk->server.body_limit(request) > 0);
  const auto changes = desk->world.store.changes();
  std::optional<http::Response> response;
  fuzz::take_answer(desk->server, request, response).detach();
  // A change of many machines takes its turns; more of them than an input has machines is a change without end.
  for (std::size_t turns = 0; !response && turns < size; ++turns) {
    desk->loop.run_once(0);
  }
  FUZZ_CHECK(response);
  fuzz::check_answer(*response);
  const bool asks = request.head.method == "GET" || request.target.query == "dryRun=true";
  FUZZ_CHECK(!(response->status() != 200 || asks) || desk->world.store.changes() == changes);
  if (request.head.method != "GET") {
    desk.reset();  // each input meets the same
  }
  return 0;
}
