// SPDX-License-Identifier: Apache-2.0
#include "intercept/interceptor.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "bpf/contract.h"
#include "intercept/cgroup.h"
#include "intercept/hooks.h"
#include "intercept/pins.h"

namespace msp::intercept {
namespace {

std::uint32_t network_order(const Ipv4Endpoint& endpoint) {
  std::uint32_t out = 0;
  std::memcpy(&out, endpoint.address.data(), sizeof(out));
  return out;
}

Result<msp_settings> to_contract(const Settings& settings) {
  if (settings.listeners.size() > MSP_MAX_LISTENERS || settings.guarded.size() > MSP_MAX_GUARDED) {
    return config_error(
        fmt::format("at most {} listeners and {} guarded addresses are possible", MSP_MAX_LISTENERS, MSP_MAX_GUARDED));
  }
  msp_settings out{};
  out.version = MSP_CONTRACT_VERSION;
  out.leaves_to = MSP_CONTRACT_LEAVES_TO;
  for (const Ipv4Endpoint& listener : settings.listeners) {
    if (listener.port == 0 || network_order(listener) == 0) {
      return config_error(fmt::format("{} cannot be a listener", to_string(listener)), "name an address and a port");
    }
    out.listeners[out.listener_count++] = {.addr = network_order(listener), .port = listener.port, .reserved = 0};
  }
  for (const Guarded& guarded : settings.guarded) {
    if (guarded.listener >= settings.listeners.size()) {
      return bug(fmt::format("{} is to go to a listener that is not there", to_string(guarded.destination)));
    }
    out.guarded[out.guarded_count++] = {.addr = network_order(guarded.destination),
                                        .port = guarded.destination.port,
                                        .redirect = static_cast<std::uint8_t>(guarded.redirect ? 1 : 0),
                                        .listener = guarded.listener};
  }
  return out;
}

/// 0: no link is pinned there.
std::uint32_t pinned_id(const std::string& path) {
  const Fd link(::bpf_obj_get(path.c_str()));
  const auto info = link ? link_info(link.get()) : std::nullopt;
  return info ? info->id : 0;
}

}  // namespace

struct Interceptor::Impl {
  explicit Impl(Pins where) : pins(std::move(where)) {}

  Pins pins;
  Hooks hooks;
  std::string cgroup_path;
  std::string agent_cgroup_path;
};

Interceptor::Interceptor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Interceptor::~Interceptor() = default;

Result<std::unique_ptr<Interceptor>> Interceptor::open(const Config& config) {
  auto cgroup = config.cgroup_path.empty() ? cgroup2_root() : Result<std::string>(config.cgroup_path);
  auto agent = config.agent_cgroup_path.empty() ? own_cgroup() : Result<std::string>(config.agent_cgroup_path);
  if (!cgroup || !agent) {
    return std::move(cgroup ? agent : cgroup).error();
  }
  if (config.agent_cgroup_path.empty()) {
    agent = lasting_cgroup(*agent);
  }
  auto pins = Pins::open(config.pin_directory);
  if (!pins) {
    return std::move(pins).error();
  }
  auto impl = std::make_unique<Impl>(*pins);
  impl->cgroup_path = *cgroup;
  impl->agent_cgroup_path = *agent;
  auto hooks = load_and_attach(*pins, impl->cgroup_path, impl->agent_cgroup_path);
  if (!hooks) {
    return std::move(hooks).error();
  }
  impl->hooks = std::move(*hooks);
  return std::unique_ptr<Interceptor>(new Interceptor(std::move(impl)));  // NOLINT: private constructor
}

bool Interceptor::adopted() const { return impl_->hooks.adopted; }
const std::string& Interceptor::cgroup_path() const { return impl_->cgroup_path; }
const std::string& Interceptor::agent_cgroup_path() const { return impl_->agent_cgroup_path; }

Result<void> Interceptor::set_settings(const Settings& settings) {
  auto value = to_contract(settings);
  if (!value) {
    return std::move(value).error();
  }
  const std::uint32_t key = 0;
  if (::bpf_map_update_elem(impl_->hooks.settings.get(), &key, &*value, BPF_ANY) != 0) {
    return errno_error("cannot tell the hooks what to guard");
  }
  return {};
}

Result<void> Interceptor::mark_own(int fd) {
  const std::uint32_t mark = 1;
  if (::bpf_map_update_elem(impl_->hooks.own_sockets.get(), &fd, &mark, BPF_ANY) != 0) {
    return errno_error("cannot mark a socket as the agent's own");
  }
  return {};
}

Result<identity::KernelFile> Interceptor::look_at(int fd) {
  if (!impl_->hooks.read_file) {
    return Error{.source = Source::kKernel,
                 .message = "this kernel cannot tell which file an executable is",
                 .hint = "rules with exePath match nothing before Linux 5.14; name users, groups or units instead",
                 .code = EOPNOTSUPP};
  }
  msp_file_view view{};
  view.fd = static_cast<std::uint32_t>(fd);
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.ctx_in = &view;  // and what the program leaves there
  options.ctx_size_in = sizeof(view);
  if (::bpf_prog_test_run_opts(impl_->hooks.read_file.get(), &options) != 0) {
    return errno_error("cannot ask the kernel which file an executable is");
  }
  if (view.inode == 0) {
    return errno_error("cannot ask the kernel which file an executable is", EBADF);
  }
  return identity::KernelFile{.inode = view.inode, .seen_ns = view.time_ns};
}

Result<Counters> Interceptor::counters() const {
  const int cpus = ::libbpf_num_possible_cpus();
  if (cpus <= 0) {
    return errno_error("cannot count the processors", -cpus);
  }
  std::vector<std::uint64_t> values(static_cast<std::size_t>(cpus));
  std::array<std::uint64_t, MSP_COUNT_MAX> sums{};
  for (std::uint32_t index = 0; index < MSP_COUNT_MAX; ++index) {
    if (::bpf_map_lookup_elem(impl_->hooks.counters.get(), &index, values.data()) != 0) {
      return errno_error("cannot read the hooks' counters");
    }
    sums[index] = std::accumulate(values.begin(), values.end(), std::uint64_t{0});
  }
  return Counters{.redirected = sums[MSP_COUNT_REDIRECTED],
                  .direct = sums[MSP_COUNT_DIRECT],
                  .refused_storage = sums[MSP_COUNT_REFUSED_STORAGE],
                  .refused_squatter = sums[MSP_COUNT_REFUSED_SQUATTER],
                  .refused_flood = sums[MSP_COUNT_REFUSED_FLOOD],
                  .refused_device = sums[MSP_COUNT_REFUSED_DEVICE],
                  .refused_datagram = sums[MSP_COUNT_REFUSED_DATAGRAM],
                  .bind_refused = sums[MSP_COUNT_BIND_REFUSED],
                  .record_lost = sums[MSP_COUNT_RECORD_LOST]};
}

Result<std::vector<Attached>> Interceptor::attached() const {
  std::vector<Attached> out;
  for (const Link& link : impl_->hooks.links) {
    const auto info = link_info(link.fd.get());
    if (!info) {
      return errno_error(fmt::format("cannot look at the link of {}", link.name));
    }
    out.push_back({.name = link.name,
                   .link_id = info->id,
                   .program_id = info->prog_id,
                   .cgroup_id = info->cgroup.cgroup_id,
                   .pinned = pinned_id(impl_->pins.link(link.name)) == info->id});
  }
  return out;
}

Result<bool> Interceptor::pin_again() { return intercept::pin_again(impl_->pins, impl_->hooks); }

Result<void> check_hooks(const std::string& pin_directory) {
  if (::access(pin_directory.c_str(), F_OK) != 0) {
    return errno == ENOENT ? Result<void>() : errno_error(fmt::format("cannot look at {}", pin_directory));
  }
  auto pins = Pins::open(pin_directory);
  if (!pins) {
    return std::move(pins).error();
  }
  auto checked = check_pinned(*pins);
  return checked ? Result<void>() : std::move(checked).error();
}

Result<Fd> Interceptor::open_listener(const Ipv4Endpoint& at, int backlog) {
  auto socket = make_tcp_socket();
  if (!socket) {
    return socket;
  }
  auto marked = mark_own(socket->get());
  if (!marked) {
    return std::move(marked).error();
  }
  auto listening = bind_and_listen(*socket, at, backlog);
  if (!listening) {
    return std::move(listening).error();
  }
  return socket;
}

}  // namespace msp::intercept
