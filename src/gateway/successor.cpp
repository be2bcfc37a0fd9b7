// SPDX-License-Identifier: Apache-2.0
#include "gateway/successor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/net.h"
#include "base/unix_socket.h"
#include "gateway/access_log.h"
#include "gateway/inventory.h"
#include "gateway/kept_listeners.h"
#include "gateway/key_ring.h"
#include "gateway/master_key.h"
#include "gateway/signers.h"
#include "http/metrics_server.h"

namespace msp::gateway {
namespace {

std::vector<ListenAt> places_of(const Config& config) {
  std::vector<ListenAt> out;
  out.reserve(config.listeners.size() + 1);
  for (const ListenerConfig& listener : config.listeners) {
    out.push_back({.at = listener.at, .interface = listener.interface});
  }
  if (!config.tokens.issuer.empty()) {
    out.push_back({.at = config.tokens.at});
  }
  return out;
}

Result<void> can_bind(const ListenAt& place, bool held) {
  auto socket = make_tcp_socket();
  if (!socket) {
    return std::move(socket).error();
  }
  // Also of one that is kept: its interface may be gone.
  if (!place.interface.empty()) {
    if (auto bound = bind_to_interface(*socket, place.interface); !bound) {
      return bound;
    }
  }
  return held ? Result<void>() : bind_and_listen(*socket, place.at, 1);
}

Result<void> can_listen(const Config& now, const Config& next) {
  const auto taken = places_of(now);
  for (const ListenAt& place : places_of(next)) {
    // While this host holds the one, the other cannot be tried: it lets go first.
    const bool held = std::ranges::any_of(taken, [&](const ListenAt& one) { return overlap(one.at, place.at); });
    if (auto bound = can_bind(place, held); !bound) {
      return bound;
    }
  }
  return {};
}

/// A socket for operators, which is not kept: only a new one can be tried.
Result<void> can_listen_at(std::string_view name, const std::string& now, const std::string& next) {
  if (next.empty() || next == now) {
    return {};
  }
  if (!next.starts_with('/')) {
    const auto at = parse_endpoint(next);
    auto bound = at ? can_bind({.at = *at}, false) : Result<void>(at.error());
    return bound ? bound : std::move(bound).error().context(std::string(name));
  }
  if (auto socket = listen_unix(next, "msp-host"); !socket) {
    return std::move(socket).error().context(std::string(name));
  }
  ::unlink(next.c_str());
  return {};
}

Result<void> can_open_keys(const Config& next, HostStore& store, const VmRegistry& registry) {
  auto master = load_master_key(next, false);
  if (!master) {
    return std::move(master).error();
  }
  auto opens = fits(store, *master);
  if (!opens) {
    return std::move(opens).error();
  }
  if (!*opens) {
    return wrong_master_key();
  }
  for (const auto& vm : registry.all()) {
    auto known = store.incarnation(vm->model.vm_id);
    if (!known) {
      return std::move(known).error();
    }
    if (known->value_or(0) > vm->model.proxy_agent.key_incarnation_id) {
      return incarnation_fell(vm->model);
    }
  }
  return {};
}

Result<void> can_sign(const Config& next) {
  if (auto documents = load_document_signer(next.state_directory, next.attestation_file); !documents) {
    return std::move(documents).error();
  }
  if (next.tokens.issuer.empty()) {
    return {};
  }
  auto key = load_issuer_key(next.state_directory, next.tokens.algorithm);
  return key ? Result<void>() : std::move(key).error();
}

}  // namespace

Result<void> can_follow(const Config& now, const Config& next, HostStore& store) {
  if (next.state_directory != now.state_directory) {
    return config_error(fmt::format("stateDirectory is {} while it runs, and cannot become {}", now.state_directory,
                                    next.state_directory),
                        "stop msp-host, move the directory, and start it");
  }
  auto inventory = Inventory::load(next);
  if (!inventory) {
    return std::move(inventory).error();
  }
  if (auto opened = (*inventory)->open(store, Inventory::Opening::kOnTrial); !opened) {
    return opened;
  }
  if (auto keys = can_open_keys(next, store, (*inventory)->registry()); !keys) {
    return keys;
  }
  if (auto log = AccessLog::open(next.access_log); !log) {
    return std::move(log).error();
  }
  if (auto signing = can_sign(next); !signing) {
    return signing;
  }
  if (auto listening = can_listen(now, next); !listening) {
    return listening;
  }
  if (auto metrics = can_listen_at("metricsListen", now.metrics_listen, next.metrics_listen); !metrics) {
    return metrics;
  }
  return can_listen_at("adminSocket", now.admin_socket, next.admin_socket);
}

}  // namespace msp::gateway
