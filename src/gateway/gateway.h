// SPDX-License-Identifier: Apache-2.0
// The way of one request through the host: who is calling, is it endorsed, what is the answer, one line in the log.
// Owned by the app; loop's thread. Everything it refers to outlives it.
// A caller that is not known, or a request that is not endorsed where the model enforces, gets a refusal with its
// reason.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "gateway/access_log.h"
#include "gateway/access_record.h"
#include "gateway/channel_api.h"
#include "gateway/config.h"
#include "gateway/guest_state.h"
#include "gateway/signers.h"
#include "gateway/status_waits.h"
#include "gateway/upstream.h"
#include "gateway/verifier.h"
#include "gateway/vm_registry.h"
#include "http/server.h"

namespace msp::gateway {

/// What the listener stands for by which a request has come.
struct Entrance {
  Service service = Service::kImds;
  std::string network = {};  ///< the interface that it is bound to; empty: none
};

class Gateway {
 public:
  /// `epoch`: random, another one at each start.
  Gateway(Loop& loop, http::BufferPool& buffers, VmRegistry& registry, KeyRing& keys, AccessLog& log,
          const Signers& signers, const Clock& clock, const Config& config, std::uint64_t epoch);

  /// All addresses of a machine are one party, and so are all callers that belong to none.
  http::Party party(const Entrance& by, const http::ConnectionInfo& connection) const;
  std::uint64_t body_limit(const Entrance& by, const http::Request& request) const;
  /// The refusal of a request of which no byte of the body has to be read to know it.
  std::optional<http::Response> before_body(const Entrance& by, const http::Request& request);
  http::Response handle(const Entrance& by, const http::Request& request);

  /// Whether another service answers this, and whether it gets the body as it comes: what is verified is collected
  /// first.
  http::Passing passes_on(const Entrance& by, const http::Request& request) const;
  Task<void> pass(const Entrance& by, const http::Request& request, http::Passage& passage);

  /// True for a status request that may be held back: then hold() comes before handle().
  static bool asks_to_wait(Service service, const http::Request& request);
  /// Until the status is another than the one that the agent has, or the time is over.
  Task<void> hold(const Entrance& by, const http::Request& request);
  /// The guest of this machine has to be told something, or the machine is gone.
  void changed(const std::string& vm_id);
  /// Whoever waits is answered now.
  void end_waits() { waits_.end(); }

  /// What came was no request, or a connection too many: one line in the log.
  void on_refused(const Entrance& by, const http::ConnectionInfo& connection, std::string_view request_id,
                  const http::Refusal& refusal);

  GuestState& state() { return state_; }
  std::uint64_t unknown_callers() const { return unknown_callers_; }

 private:
  struct Course;
  /// Counted, remembered and logged.
  http::Response refuse_unknown(const Entrance& by, const http::Request& request);
  void note_unknown(const Entrance& by, const Ipv4Endpoint& peer);
  /// Why it is not served; nothing: it may be.
  std::optional<Answer> judge(Service service, Vm& vm, const http::Request& request, Course& course);
  /// Above what this machine may ask; nothing: below it.
  std::optional<Answer> limit(Service service, Vm& vm, const http::Request& request);
  void count(Service service, Vm& vm, const http::Request& request, const Course& course);
  Answer answer(Service service, Vm& vm, const http::Request& request, Course& course);
  Answer refuse_unverified(const Vm& vm, const http::Request& request, Reason reason) const;
  Seen seen(Service service, const http::Request& request, const Course& course) const;
  /// The service's own answer, once the request may be served.
  Answer serve(Service service, Vm& vm, const http::Request& request);
  void record(const Entrance& by, const http::Request& request, Vm* vm, const Course& course, int status);
  void write(AccessRecord record, Vm* vm);

  VmRegistry& registry_;
  AccessLog& log_;
  Signers signers_;
  const Clock& clock_;
  Limits limits_;
  Asking asking_;
  Verifier verifier_;
  Upstream upstream_;
  StatusWaits waits_;
  ChannelApi channel_;
  GuestState state_;
  std::uint64_t unknown_callers_ = 0;
  log::RateLimit unknown_alarms_{10, 60'000};
  AccessLine line_;
};

/// Binds the gateway to what a listener stands for.
class ServiceHandler final : public http::Handler {
 public:
  ServiceHandler(Gateway& gateway, Entrance by) : gateway_(gateway), by_(std::move(by)) {}

  http::Party party(const http::ConnectionInfo& connection) override;
  std::optional<http::Response> before_body(const http::Request& request) override;
  std::uint64_t body_limit(const http::Request& request) override;
  bool drops_body(const http::Request& request) override;
  void on_refused(const http::ConnectionInfo& connection, std::string_view request_id,
                  const http::Refusal& refusal) override;
  http::Passing passes_on(const http::Request& request) override;
  Task<void> pass(const http::Request& request, http::Passage& passage) override;
  Task<http::Response> handle(const http::Request& request) override;

 private:
  Gateway& gateway_;
  Entrance by_;
};

}  // namespace msp::gateway
