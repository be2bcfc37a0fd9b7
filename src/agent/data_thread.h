// SPDX-License-Identifier: Apache-2.0
// The thread of the data loop, and the only way to talk to it: messages that carry values.
// Owned by the assembly on the control thread. install() returns when the loop has taken the gate over, so that a rule
// set counts as installed from then on (design P7).
// Destruction drains: requests in flight are answered within a bound, then cut.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "agent/local_status.h"
#include "base/loop.h"
#include "identity/names.h"
#include "identity/source.h"
#include "intercept/socket_marker.h"
#include "proxy/data_plane.h"

namespace msp::agent {

/// Upstream sockets that the kernel side knows as ours.
class MarkingDialer final : public proxy::Dialer {
 public:
  explicit MarkingDialer(intercept::SocketMarker& marker) : marker_(marker) {}
  Result<Fd> socket();
  Task<Result<Fd>> dial(Service service, const Ipv4Endpoint& to, Deadline deadline) override;

 private:
  intercept::SocketMarker& marker_;
};

class DataThread {
 public:
  struct Parts {
    proxy::Settings settings;
    intercept::SocketMarker& marker;
    audit::Sink& audit;
    std::function<void()> wake_poll;  ///< called on the data loop
    identity::SocketIdentitySource::OnMiss on_miss;
  };
  static Result<std::unique_ptr<DataThread>> start(Parts parts);
  ~DataThread();
  DataThread(const DataThread&) = delete;
  DataThread& operator=(const DataThread&) = delete;

  /// `lost`: as DataPlane::listen; called on the data loop.
  Result<void> listen(Fd listener, std::function<void()> lost);
  /// A connection that was accepted elsewhere (self-check at start).
  void adopt(Fd connection);
  void install(std::shared_ptr<const proxy::Gate> gate);
  void update_status(status::ProvisionView provision, std::string aggregate_json);
  void set_names(std::shared_ptr<const identity::NameTable> names);
  void set_pins(std::shared_ptr<const identity::PinTable> pins);
  void set_cgroups(std::shared_ptr<const identity::CgroupTable> cgroups);
  /// f runs on the data loop in its next turn, if it still turns.
  void ask(std::function<void()> f) { loop_.post(std::move(f)); }
  const proxy::Counters& counters() const { return counters_; }
  /// Stops accepting, waits until what is in flight is answered, at most `max_ms`.
  void drain(std::uint64_t max_ms);

 private:
  DataThread(Parts parts, audit::RequestIds ids);
  /// Runs f on the loop and waits for it.
  void run_there(const std::function<void()>& f);

  Loop loop_;
  identity::SocketIdentitySource identities_;
  MarkingDialer dialer_;
  LocalStatus local_;
  proxy::Counters counters_;
  std::unique_ptr<proxy::DataPlane> plane_;
  std::thread thread_;
};

}  // namespace msp::agent
