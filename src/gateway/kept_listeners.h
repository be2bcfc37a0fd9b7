// SPDX-License-Identifier: Apache-2.0
// The listeners of the host, which outlive it: a service manager keeps a duplicate of each, or the process hands them
// to the program that takes its place; connections wait in them meanwhile (docs/decisions/host-listeners-kept.md). Made
// by main from the environment, used by the app at start and end; loop's thread. What was kept and is not surely one of
// ours is let go and bound anew; a manager that does not answer costs the duty of keeping only.
#pragma once

#include <string>
#include <vector>

#include "base/net.h"
#include "base/result.h"
#include "base/service_manager.h"

namespace msp::gateway {

/// Several may have one address and port, each at an interface of its own.
struct ListenAt {
  Ipv4Endpoint at;
  std::string interface = {};  ///< whose requests it takes; empty: of all
};

/// "169.254.169.254:80", "169.254.169.254:80 at br0".
std::string to_string(const ListenAt& place);

class KeptListeners {
 public:
  KeptListeners() = default;
  explicit KeptListeners(ServiceManager manager) : manager_(std::move(manager)), passed_(manager_.take_stored()) {}

  /// One listener for each place, taken over or bound. What was passed and nobody asks for is closed. Port 0: any
  /// free one, which is never kept.
  Result<std::vector<Fd>> open(const std::vector<ListenAt>& places);
  /// Nobody comes after us: without a manager, connections are refused as soon as the servers let go.
  void let_go() { held_.clear(); }
  /// For the program that takes the place of this one.
  std::vector<ServiceManager::Stored> hand_over() { return std::move(held_); }

  const ServiceManager& manager() const { return manager_; }

 private:
  Result<void> sort_out(const std::vector<ListenAt>& places, std::uint64_t cookie);
  Result<Fd> bind(const ListenAt& place, std::uint64_t cookie);
  Result<void> hold(std::string name, const Fd& listener);

  ServiceManager manager_;
  std::vector<ServiceManager::Stored> passed_;
  std::vector<ServiceManager::Stored> held_;  // duplicates
};

}  // namespace msp::gateway
