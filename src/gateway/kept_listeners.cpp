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
std::string name_of(const ListenAt& place, std::uint64_t cookie) {
  return fmt::format("{}-{}-{}{}{}", listener_name(cookie), address_text(place.at), place.at.port,
                     place.interface.empty() ? "" : "-", place.interface);
}

}  // namespace

std::string to_string(const ListenAt& place) {
  return fmt::format("{}{}{}", to_string(place.at), place.interface.empty() ? "" : " at ", place.interface);
}

Result<std::vector<Fd>> KeptListeners::open(const std::vector<ListenAt>& places) {
  auto cookie = own_netns_cookie();
  if (!cookie) {
    return std::move(cookie).error();
  }
  if (auto sorted = sort_out(places, *cookie); !sorted) {
    return std::move(sorted).error();
  }
  std::vector<Fd> out;
  for (const ListenAt& place : places) {
    const auto passed = std::ranges::find(passed_, name_of(place, *cookie), &ServiceManager::Stored::name);
    if (passed == passed_.end()) {
      auto made = bind(place, *cookie);
      if (!made) {
        return std::move(made).error();
      }
      out.push_back(std::move(*made));
      continue;
    }
    log::info("the listener on {} is taken over", to_string(place));
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
Result<void> KeptListeners::sort_out(const std::vector<ListenAt>& places, std::uint64_t cookie) {
  std::vector<ServiceManager::Stored> good;
  for (ServiceManager::Stored& each : passed_) {
    const auto place = std::ranges::find_if(places, [&](const auto& one) { return name_of(one, cookie) == each.name; });
    const bool twice = std::ranges::find(good, each.name, &ServiceManager::Stored::name) != good.end();
    if (place != places.end() && !twice) {
      const auto checked = check_listener(each.fd.get(), place->at, cookie, place->interface);
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

Result<Fd> KeptListeners::bind(const ListenAt& place, std::uint64_t cookie) {
  auto socket = make_tcp_socket();
  if (!socket) {
    return socket;
  }
  if (!place.interface.empty()) {
    if (auto bound = bind_to_interface(*socket, place.interface); !bound) {
      return std::move(bound).error().context(to_string(place.at));
    }
  }
  if (auto bound = bind_and_listen(*socket, place.at, kBacklog); !bound) {
    return std::move(bound).error();
  }
  if (place.at.port == 0) {
    return socket;
  }
  const std::string name = name_of(place, cookie);
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
