// SPDX-License-Identifier: Apache-2.0
#include "gateway/app.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>

#include "base/file.h"
#include "base/kept_listener.h"
#include "base/log.h"
#include "base/process.h"
#include "gateway/master_key.h"
#include "gateway/metrics.h"
#include "gateway/state_lock.h"
#include "gateway/successor.h"

namespace msp::gateway {
namespace {

// Some forty usual requests with their answers, or two of the longest, take a millisecond or so: so long do others wait
// for one machine. The dearest answers, certificates, take five.
constexpr std::uint64_t kTurnBytes = std::uint64_t{128} << 10;

}  // namespace

HostApp::HostApp(Config config, Loop& loop, const Clock& clock, std::unique_ptr<Inventory> inventory)
    : config_(std::move(config)), loop_(loop), clock_(clock), inventory_(std::move(inventory)) {}

HostApp::~HostApp() = default;

Result<std::unique_ptr<HostApp>> HostApp::start(Config config, Loop& loop, const Clock& clock, KeptListeners& kept) {
  // What listeners will need: asked before a key is made on a machine that cannot serve.
  if (auto cookie = own_netns_cookie(); !cookie) {
    return std::move(cookie).error();
  }
  auto inventory = Inventory::load(config);
  if (!inventory) {
    return std::move(inventory).error();
  }
  std::unique_ptr<HostApp> app(new HostApp(std::move(config), loop, clock, std::move(*inventory)));
  if (auto opened = app->open_state(); !opened) {
    return std::move(opened).error();
  }
  if (auto listening = app->listen(kept); !listening) {
    return std::move(listening).error();
  }
  return app;
}

Result<void> HostApp::open_state() {
  if (auto made = file::ensure_directory(config_.state_directory, 0700); !made) {
    return std::move(made).error().context("stateDirectory");
  }
  auto state = hold_state_directory(config_.state_directory);
  if (!state) {
    return std::move(state).error();
  }
  state_ = std::move(*state);
  const std::string database = config_.database();
  auto first_start = is_first_start(database);
  if (!first_start) {
    return std::move(first_start).error();
  }
  if (*first_start) {
    log::info("{} is made: no machine has a key here yet", database);
  }
  auto master = load_master_key(config_, *first_start);
  if (!master) {
    return std::move(master).error();
  }
  auto store = open_sqlite_store(database);
  if (!store) {
    return std::move(store).error();
  }
  store_ = std::move(*store);
  if (auto opened = inventory_->open(*store_); !opened) {
    return opened;
  }
  if (auto marked = mark_started(database); !marked) {
    return marked;
  }
  VmRegistry& registry = inventory_->registry();
  auto keys = KeyRing::open(*store_, std::move(*master), registry, clock_, config_.limits.pending_keys);
  if (!keys) {
    return std::move(keys).error();
  }
  keys_ = std::move(*keys);
  auto log = AccessLog::open(config_.access_log);
  if (!log) {
    return std::move(log).error();
  }
  log_ = std::move(*log);
  if (auto opened = open_signers(); !opened) {
    return opened;
  }
  std::array<std::uint8_t, sizeof(std::uint64_t)> epoch{};
  if (auto filled = random_bytes(epoch); !filled) {
    return filled;
  }
  gateway_ = std::make_unique<Gateway>(loop_, buffers_, registry, *keys_, *log_,
                                       Signers{.issuer = issuer_.get(), .documents = documents_.get()}, clock_, config_,
                                       std::bit_cast<std::uint64_t>(epoch));
  if (auto opened = gateway_->state().events.open(*store_, registry); !opened) {
    return opened;
  }
  inventory_->attach(*keys_, [this](const std::string& vm_id) { gateway_->changed(vm_id); });
  return {};
}

Result<void> HostApp::open_signers() {
  auto documents = load_document_signer(config_.state_directory, config_.attestation_file);
  if (!documents) {
    return std::move(documents).error();
  }
  documents_ = std::make_unique<DocumentSigner>(std::move(*documents));
  const TokensConfig& tokens = config_.tokens;
  if (tokens.issuer.empty()) {
    return {};
  }
  auto key = load_issuer_key(config_.state_directory, tokens.algorithm);
  if (!key) {
    return std::move(key).error();
  }
  issuer_ = std::make_unique<content::TokenIssuer>(std::move(*key), tokens.issuer, tokens.lifetime_seconds);
  return {};
}

Task<void> HostApp::tidy_up() {
  constexpr std::uint64_t kTidyMs = 10'000;
  constexpr std::size_t kMostUnused = std::size_t{16} << 20;
  for (;;) {
    co_await loop_.sleep_until(loop_.after_ms(kTidyMs));
    buffers_.free_unneeded();
    release_unused_memory(kMostUnused);
  }
}

Result<void> HostApp::fits(const Config& config) const { return can_follow(config_, config, *store_); }

Result<Ipv4Endpoint> HostApp::serve(http::Handler& handler, Fd listener) {
  auto at = local_endpoint(listener.get());
  if (!at) {
    return at;
  }
  http::ServerLimits limits;
  limits.max_connections = config_.limits.connections;
  limits.body_bytes = config_.limits.body_bytes;
  limits.turn_bytes = kTurnBytes;
  auto server = std::make_unique<http::Server>(loop_, buffers_, handler, limits);
  if (auto started = server->listen(std::move(listener)); !started) {
    return std::move(started).error();
  }
  servers_.push_back(std::move(server));
  return at;
}

Result<void> HostApp::listen(KeptListeners& kept) {
  std::vector<ListenAt> places;
  places.reserve(config_.listeners.size() + 1);
  for (const ListenerConfig& listener : config_.listeners) {
    places.push_back({.at = listener.at, .interface = listener.interface});
  }
  if (issuer_) {
    places.push_back({.at = config_.tokens.at});
  }
  auto sockets = kept.open(places);
  if (!sockets) {
    return std::move(sockets).error();
  }
  auto socket = sockets->begin();
  for (const ListenerConfig& listener : config_.listeners) {
    handlers_.push_back(std::make_unique<ServiceHandler>(
        *gateway_, Entrance{.service = listener.service, .network = listener.interface}));
    auto at = serve(*handlers_.back(), std::move(*socket++));
    if (!at) {
      return std::move(at).error();
    }
    log::info("listening on {} as {}", to_string(ListenAt{.at = *at, .interface = listener.interface}),
              to_string(listener.service));
    endpoints_.push_back(*at);
  }
  if (issuer_) {
    tokens_ = std::make_unique<TokenServer>(*issuer_, config_.limits.connections_per_machine);
    auto at = serve(*tokens_, std::move(*socket));
    if (!at) {
      return std::move(at).error();
    }
    log::info("listening on {} for verifiers of tokens", to_string(*at));
    endpoints_.push_back(*at);
  }
  tidying_.emplace(tidy_up());
  return listen_for_operators();
}

Result<void> HostApp::listen_for_operators() {
  if (!config_.metrics_listen.empty()) {
    metrics_ = std::make_unique<http::MetricsServer>(loop_, buffers_, [this] { return metrics(); });
    if (auto started = metrics_->listen(config_.metrics_listen, "host"); !started) {
      return started;
    }
  }
  if (!config_.admin_socket.empty()) {
    admin_ = std::make_unique<AdminServer>(loop_, buffers_, *inventory_, gateway_->state(), clock_);
    std::vector<ListenerConfig> listeners = config_.listeners;
    for (std::size_t i = 0; i < listeners.size(); ++i) {
      listeners[i].at = endpoints_[i];
    }
    admin_->describe(std::move(listeners), *store_);
    return admin_->listen(config_.admin_socket);
  }
  return {};
}

Task<void> HostApp::drain(Deadline deadline) {
  // All stop accepting at once: a drain starts when it is called, not when it is awaited.
  gateway_->end_waits();
  std::vector<Task<void>> drains;
  drains.reserve(servers_.size() + 1);
  if (admin_) {
    drains.push_back(admin_->drain(deadline));
  }
  for (const auto& server : servers_) {
    drains.push_back(server->drain(deadline));
  }
  for (Task<void>& each : drains) {
    co_await each;
  }
}

Task<std::string> HostApp::metrics() const {
  HostCounts counts{.unknown_callers = gateway_->unknown_callers(), .access_log_lost = log_->lost()};
  for (const auto& server : servers_) {
    counts.malformed_requests += server->counters().bad_requests;
    counts.connections_open += server->connections();
    counts.connections_refused += server->counters().refused_connections;
  }
  return metrics_text(loop_, inventory_->registry(), counts);
}

void HostApp::log_counters() const {
  for (const auto& vm : inventory_->registry().all()) {
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
  for (const auto& server : servers_) {
    malformed += server->counters().bad_requests;
  }
  log::info("unknown callers={} malformed requests={} access log lines lost={}", gateway_->unknown_callers(), malformed,
            log_->lost());
}

}  // namespace msp::gateway
