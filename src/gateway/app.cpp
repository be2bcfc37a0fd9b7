// SPDX-License-Identifier: Apache-2.0
#include "gateway/app.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

namespace msp::gateway {
namespace {

constexpr int kBacklog = 4096;

}  // namespace

HostApp::HostApp(Config config, Loop& loop, const Clock& clock, VmRegistry registry)
    : x_config(std::move(config)), x_loop(loop), x_clock(clock), x_registry(std::move(registry)) {}

HostApp::~HostApp() = default;

Result<std::unique_ptr<HostApp>> HostApp::start(Config config, Loop& loop, const Clock& clock) {
  auto registry = VmRegistry::load(config);
  if (!registry) {
    return std::move(registry).error();
  }
  std::unique_ptr<HostApp> app(new HostApp(std::move(config), loop, clock, std::move(*registry)));
  if (auto opened = app->open_state(); !opened) {
    return std::move(opened).error();
  }
  if (auto listening = app->listen(); !listening) {
    return std::move(listening).error();
  }
  return app;
}

Result<void> HostApp::open_state() {
  if (auto made = file::ensure_directory(x_config.state_directory, 0700); !made) {
    return std::move(made).error().context("stateDirectory");
  }
  const std::string database = x_config.state_directory + "/host.db";
  const bool first_start = ::access(database.c_str(), F_OK) != 0;
  auto master = load_master_key(x_config.master_key_file, first_start);
  if (!master) {
    return std::move(master).error();
  }
  auto store = open_sqlite_key_store(database);
  if (!store) {
    return std::move(store).error();
  }
  x_store = std::move(*store);
  auto keys = KeyRing::open(*x_store, std::move(*master), x_registry, x_clock, x_config.limits.pending_keys);
  if (!keys) {
    return std::move(keys).error();
  }
  x_keys = std::move(*keys);
  auto log = AccessLog::open(x_config.access_log);
  if (!log) {
    return std::move(log).error();
  }
  x_log = std::move(*log);
  x_gateway = std::make_unique<Gateway>(x_registry, *x_keys, *x_log, x_clock, x_config);
  return {};
}

Result<void> HostApp::listen() {
  for (const ListenerConfig& listener : x_config.listeners) {
    auto socket = make_tcp_socket();
    if (!socket) {
      return std::move(socket).error();
    }
    if (auto bound = bind_and_listen(*socket, listener.at, kBacklog); !bound) {
      return std::move(bound).error();
    }
    auto at = local_endpoint(socket->get());
    if (!at) {
      return std::move(at).error();
    }
    http::ServerLimits limits;
    limits.max_connections = x_config.limits.connections;
    auto handler = std::make_unique<ServiceHandler>(*x_gateway, listener.service);
    auto server = std::make_unique<http::Server>(x_loop, x_buffers, *handler, limits);
    if (auto started = server->listen(std::move(*socket)); !started) {
      return std::move(started).error();
    }
    log::info("listening on {} as {}", to_string(*at), to_string(listener.service));
    x_endpoints.push_back(*at);
    x_handlers.push_back(std::move(handler));
    x_servers.push_back(std::move(server));
  }
  return {};
}

Task<void> HostApp::drain(Deadline deadline) {
  // All stop accepting at once: a drain starts when it is called, not when it is awaited.
  std::vector<Task<void>> drains;
  drains.reserve(x_servers.size());
  for (const auto& server : x_servers) {
    drains.push_back(server->drain(deadline));
  }
  for (Task<void>& each : drains) {
    co_await each;
  }
}

void HostApp::log_counters() const {
  for (const auto& vm : x_registry.all()) {
    std::string refused;
    for (std::size_t i = 0; i < kReasonCount; ++i) {
      if (vm->counters.refused[i] != 0) {
        refused += fmt::format(" {}={}", to_string(static_cast<Reason>(i)), vm->counters.refused[i]);
      }
    }
    log::info("virtual machine {}: requests={} audited={}{}", vm->model.name, vm->counters.requests,
              vm->counters.audited, refused);
  }
  std::uint64_t malformed = 0;
  for (const auto& server : x_servers) {
    malformed += server->counters().bad_requests;
  }
  log::info("unknown callers={} malformed requests={} access log lines lost={}", x_gateway->unknown_callers(),
            malformed, x_log->lost());
}

}  // namespace msp::gateway
