// SPDX-License-Identifier: Apache-2.0
// What a guest sends to the host: one word that names the service and how the machine that asks is set, then a request
// as bytes. Its answer is writable and of the form that it says; where the model enforces, nothing that is not exempt
// is served, since no input has a key.
#include <string>

#include "fuzz/host_world.h"
#include "gateway/gateway.h"
#include "gateway/wireserver.h"

namespace {

using namespace msp;

constexpr std::string_view kModel =
    R"(,"osProfile":{"computerName":"v","adminUsername":"op","customData":"IyEvYmluL3NoCg=="},)"
    R"("networkProfile":{"networkInterfaces":[{"properties":{"ipConfigurations":[{"properties":{"privateIPAddress":)"
    R"("10.0.0.4"}}]}}]}},"identity":{"type":"SystemAssigned","principalId":"11111111-2222-3333-4444-555555555555",)"
    R"("tenantId":"99999999-2222-3333-4444-555555555555"},"tags":{"a":"b"},"resources":[{"type":)"
    R"("Microsoft.Compute/virtualMachines/extensions","properties":{"publisher":"P","type":"T","typeHandlerVersion":)"
    R"("1.0","settings":{"k":"<v>"}},"openmsp":{"manifest":"https://store.example/m.xml","settingsSequence":3}}]})";

gateway::GivenResource machine(char number, std::string_view settings) {
  std::string text = R"({"id":"/s/virtualMachines/)";
  text.append(1, number).append(R"(","name":"vm-)").append(1, number);
  text += R"(","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc9640)";
  text.append(1, number).append(R"(","securityProfile":{"proxyAgentSettings":)").append(settings).append("}");
  text += kModel;
  return {.text = std::move(text), .addresses = {{{10, 0, 0, static_cast<std::uint8_t>(number - '0')}}}};
}

/// Disabled, auditing and enforcing.
std::vector<gateway::GivenResource> machines() {
  return {machine('1', R"({"enabled":false})"),
          machine('2', R"({"enabled":true,"mode":"Audit","wireServer":{"mode":"Audit"},"imds":{"mode":"Audit"}})"),
          machine('3', R"({"enabled":true,"wireServer":{"mode":"Enforce"},"imds":{"mode":"Enforce"}})")};
}

struct Host {
  Host()
      : log(*gateway::AccessLog::open("/dev/null")),
        issuer(*SigningKey::generate(SignatureAlgorithm::kEs256), "https://issuer.example", 3600),
        gateway(loop, buffers, world.inventory->registry(), *world.keys, *log, {.issuer = &issuer}, world.clock,
                gateway::Config(), 1) {}

  Loop loop;
  http::BufferPool buffers;
  fuzz::HostWorld world{machines()};
  std::unique_ptr<gateway::AccessLog> log;
  content::TokenIssuer issuer;
  gateway::Gateway gateway;
};

Service service_of(char letter) {
  return letter == 'w' ? Service::kWireServer : letter == 'h' ? Service::kHostGaPlugin : Service::kImds;
}

void begin_anew(Host& host) {
  for (const auto& vm : host.world.inventory->registry().all()) {
    host.gateway.state().forget(vm->model.vm_id);
    const content::ScheduledEvent event{.id = {}, .type = "Reboot", .source = "Platform", .description = "d"};
    FUZZ_CHECK(host.gateway.state().events.add(vm->model.vm_id, event));
    vm->imds_rate = {};
    vm->identity_rate = {};
  }
}

bool is_channel(Service service, const http::Request& request) {
  return service == Service::kWireServer && gateway::ChannelApi::owns(request.target.path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kWord = 3;  // "w1\n"
  fuzz::quiet();
  if (size < kWord) {
    return 0;
  }
  static Host host;
  const std::string_view input = fuzz::text(data, size);
  const Service service = service_of(input[0]);
  const auto number = static_cast<std::uint8_t>(input[1] >= '0' && input[1] <= '4' ? input[1] - '0' : 1);
  http::ConnectionInfo guest;
  guest.peer = {.address = {10, 0, 0, number}, .port = 40000};
  fuzz::BytesAsRequest bytes(input.substr(kWord), guest);
  if (!bytes.good()) {
    return 0;
  }
  begin_anew(host);
  gateway::ServiceHandler handler(host.gateway, {.service = service});
  http::Request& request = bytes.request();
  if (request.body_bytes > handler.body_limit(request)) {
    return 0;
  }
  if (handler.drops_body(request)) {
    request.body = {};
  }
  FUZZ_CHECK(handler.passes_on(request) == http::Passing::kNo);
  (void)gateway::ChannelApi::asked_wait(request);
  const http::Response response = host.gateway.handle({.service = service}, request);
  fuzz::check_answer(response);
  const bool known = number >= 1 && number <= 3;
  FUZZ_CHECK(known || response.status() >= 400);
  if (number == 3 && !is_channel(service, request) && !gateway::is_exempt(service, request)) {
    FUZZ_CHECK(response.status() >= 400);
  }
  return 0;
}
