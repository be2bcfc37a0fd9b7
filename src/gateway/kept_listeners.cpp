// SPDX-License-Identifier: Apache-2.0
#include "gateway/kept_listeners.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/kept_listener.h"
#include "base/log.h"

namespace msp::gateway {
namespace {

constexpr int kBacklog = 4096;
constexpr int kBarrierMs = 1'000;

void only_log(const Result<void>& done, std::string_view what) {
  if (!done) {
    log::warn("{}: {}", what, done.error().text());
  }
}

/// A colon would end a name among those that are passed on.
std::string name_of(const Ipv4Endpoint& at, std::uint64_t cookie) {
  return fmt::format("{}-{}-{}", listener_name(cookie), address_text(at), at.port);
}

}  // namespace

Result<std::vector<Fd>> KeptListeners::open(const std::vector<Ipv4Endpoint>& addresses) {
  auto cookie = own_netns_cookie();
  if (!cookie) {
    return std::move(cookie).error();
  }
  if (auto sorted = sort_out(addresses, *cookie); !sorted) {
    return std::move(sorted).error();
  }
  std::vector<Fd> out;
  for (const Ipv4Endpoint& at : addresses) {
    const auto passed = std::ranges::find(passed_, name_of(at, *cookie), &ServiceManager::Stored::name);
    if (passed == passed_.end()) {
      auto made = bind(at, *cookie);
      if (!made) {
        return std::move(made).error();
      }
      out.push_back(std::move(*made));
      continue;
    }
    log::info("the listener on {} is taken over", to_string(at));
    if (auto held = hold(passed->name, passed->fd); !held) {
      return std::move(held).error();
    }
    out.push_back(std::move(passed->fd));
    passed_.erase(passed);
  }
  if (manager_.present()) {
    only_log(manager_.barrier(kBarrierMs), "listeners may not outlive this host");
  }
  return out;
}

/// What is of no use goes before anything is bound: two listeners do not share an address.
Result<void> KeptListeners::sort_out(const std::vector<Ipv4Endpoint>& addresses, std::uint64_t cookie) {
  std::vector<ServiceManager::Stored> good;
  for (ServiceManager::Stored& each : passed_) {
    const auto at = std::ranges::find_if(addresses, [&](const auto& one) { return name_of(one, cookie) == each.name; });
    const bool twice = std::ranges::find(good, each.name, &ServiceManager::Stored::name) != good.end();
    if (at != addresses.end() && !twice) {
      const auto checked = check_listener(each.fd.get(), *at, cookie);
      if (checked) {
        good.push_back(std::move(each));
        continue;
      }
      log::warn("the listener of an earlier run is not taken over: {}", checked.error().text());
    }
    only_log(manager_.forget(each.name), "a descriptor of an earlier run");
    each.fd.reset();
  }
  const bool gone = good.size() != passed_.size();
  passed_ = std::move(good);
  if (gone && manager_.present()) {
    only_log(manager_.barrier(kBarrierMs), "a descriptor of an earlier run");
  }
  return {};
}

Result<Fd> KeptListeners::bind(const Ipv4Endpoint& at, std::uint64_t cookie) {
  auto socket = make_tcp_socket();
  if (!socket) {
    return socket;
  }
  if (auto bound = bind_and_listen(*socket, at, kBacklog); !bound) {
    return std::move(bound).error();
  }
  if (at.port == 0) {
    return socket;
  }
  const std::string name = name_of(at, cookie);
  only_log(manager_.store(name, *socket), "a listener will not outlive this host");
  if (auto held = hold(name, *socket); !held) {
    return std::move(held).error();
  }
  return socket;
}

Result<void> KeptListeners::hold(std::string name, const Fd& listener) {
  Fd copy(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) {
    return errno_error("duplicate a listener");
  }
  held_.push_back({.name = std::move(name), .fd = std::move(copy)});
  return {};
}

}  // namespace msp::gateway
