// SPDX-License-Identifier: Apache-2.0
// The data plane as the monitor sees it: a worker process that is told what holds, asked for nothing but signs of life,
// and started again when it dies (docs/decisions/privilege-separation.md).
// Owned by the assembly on the control thread; a thread of its own talks to the worker and dials for it. install()
// returns when the worker has taken the gate over, or is no more: no request is decided by an older one (design P7).
// Destruction drains nothing: call drain(). While there is no worker, connections wait in the listener.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/worker_lines.h"
#include "agent/worker_process.h"
#include "audit/queue.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/shared_memory.h"
#include "identity/cgroups.h"
#include "identity/exe_pins.h"
#include "identity/names.h"
#include "intercept/socket_marker.h"
#include "link/connection.h"
#include "link/message.h"
#include "proxy/counters.h"
#include "proxy/gate.h"

namespace msp::agent {

class DataLink {
 public:
  /// What the worker asks for. Called on the link's thread; must not block.
  struct Wishes {
    std::function<void()> notify;
    std::function<void(std::uint32_t id, bool group)> name;
    std::function<void(std::uint64_t ticket)> executables;
    std::function<void(std::uint64_t cgroup, std::uint64_t ticket)> place;
  };
  struct Parts {
    WorkerUser user;
    proxy::Settings settings;
    intercept::SocketMarker& marker;
    const audit::QueueShare* audit;  ///< null: no audit file. Only descriptors are taken from it
    Wishes wishes;
  };
  /// Returns when the worker is confined and serves, or with what keeps it from that.
  static Result<std::unique_ptr<DataLink>> start(Parts parts);
  ~DataLink();
  DataLink(const DataLink&) = delete;
  DataLink& operator=(const DataLink&) = delete;

  /// `lost`: as DataPlane::listen; called on the link's thread.
  Result<void> listen(Fd listener, std::function<void()> lost);
  /// A connection that was accepted elsewhere (self-check at start).
  void adopt(Fd connection);
  /// Hold from the next install() of a gate with this generation on.
  void set_rules(link::Rules rules);
  void install(std::shared_ptr<const proxy::Gate> gate);
  /// What the worker's lines are made for, as log::most_detailed() says now.
  void follow_log_level();
  void update_status(status::ProvisionView provision, std::string aggregate_json);
  void set_names(std::shared_ptr<const identity::NameTable> names);
  /// The pins that `pins` names are held until the worker asks later ones only.
  void set_pins(std::shared_ptr<const identity::PinTable> pins);
  void set_cgroups(std::shared_ptr<const identity::CgroupTable> cgroups);
  /// f runs on the link's thread when the worker's loop has answered.
  void ask(std::function<void()> f);
  /// Since start, over all workers; written by them.
  const proxy::Counters& counters() const;
  /// Stops accepting, waits until what is in flight is answered, at most `max_ms`; then there is no worker any more.
  void drain(std::uint64_t max_ms);

 private:
  struct Listening {
    std::uint64_t id = 0;
    Fd socket;
    std::function<void()> lost;
  };

  DataLink(Parts parts, Fd program, SharedMemory counters);
  /// Runs f on the link's thread and waits for it.
  void run_there(const std::function<void()>& f);
  /// False: it has not come true in time. `holds` is asked with mutex_ held.
  bool wait_until(std::chrono::milliseconds patience, const std::function<bool()>& holds);
  void note(const std::function<void()>& change);
  Result<void> begin();
  void restart(const Error& why);
  Task<> begin_again(std::uint64_t wait_ms);
  /// Ends a worker that is there and does not answer; the next one takes its place.
  Task<> watch();
  void tell_all();
  link::Setup setup() const;
  std::vector<Fd> setup_descriptors() const;
  /// The message's number; 0: it could not be sent, and there will be another worker.
  std::uint64_t tell(const link::ToWorker& message, std::vector<Fd> descriptors = {});
  void kill_worker() const;
  /// Workers that die as soon as they are there are told of a few times, then now and then.
  bool worth_a_line() const;
  void tell_gate();
  void tell_pins();

  void on_packet(std::string_view packet, const std::vector<Fd>& descriptors);
  /// The worker is ended.
  void refuse(const Error& why);
  void on(const link::Greeting& m);
  void on(const link::Hello& m);
  void on(const link::Taken& m);
  void on(const link::Dial& m);
  void on(const link::WantName& m) { parts_.wishes.name(m.id, m.group); }
  void on(const link::WantExecutables& m) { parts_.wishes.executables(m.ticket); }
  void on(const link::WantPlace& m) { parts_.wishes.place(m.cgroup, m.ticket); }
  void on(const link::Notify& /*m*/) { parts_.wishes.notify(); }
  void on(const link::ListenerLost& m);
  void on(const link::Pong& m);
  void on(const link::Drained& m);
  void on(const link::Line& m) { lines_.take(m); }

  Parts parts_;
  Fd program_;
  SharedMemory counters_;
  Loop loop_;

  // The link's thread from here on.
  WorkerLines lines_{loop_};
  std::unique_ptr<WorkerProcess> process_;
  std::unique_ptr<link::Connection> connection_;
  std::optional<Task<>> beginning_;
  Deadline began_ = 0;
  enum class Greeted : std::uint8_t { kNotYet, kOurs, kForeign } greeted_ = Greeted::kNotYet;
  std::uint64_t said_ = 0;
  std::uint64_t workers_ = 0;
  unsigned short_lives_ = 0;
  bool ending_ = false;
  // What holds, for the next worker.
  std::vector<Listening> listening_;
  std::uint64_t last_listener_ = 0;
  std::shared_ptr<const identity::NameTable> names_;
  std::shared_ptr<const identity::CgroupTable> cgroups_;
  std::optional<link::ToWorker> rules_;
  std::shared_ptr<const proxy::Gate> gate_;
  std::optional<link::ToWorker> status_;
  /// By the message that names them; the last one is the newest.
  std::deque<std::pair<std::uint64_t, std::shared_ptr<const identity::PinTable>>> pins_;
  std::uint64_t gate_number_ = 0;                                    ///< of gate_, as install() has counted
  std::vector<std::pair<std::uint64_t, std::uint64_t>> gates_told_;  ///< message, gate
  std::vector<std::function<void()>> asked_;
  std::optional<Task<>> watching_;
  unsigned unanswered_ = 0;  ///< times that watch() has asked

  std::uint64_t gates_asked_ = 0;  ///< the control thread's

  // What the control thread waits for.
  std::mutex mutex_;
  std::condition_variable changed_;
  enum class First : std::uint8_t { kStarting, kServes, kDied } first_ = First::kStarting;
  std::uint64_t gate_taken_ = 0;
  bool draining_ = false;
  bool drained_ = false;

  std::thread thread_;
};

}  // namespace msp::agent
