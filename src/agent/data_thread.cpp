// SPDX-License-Identifier: Apache-2.0
#include "agent/data_thread.h"

#include <pthread.h>

#include <atomic>
#include <chrono>

namespace msp::agent {

Result<Fd> MarkingDialer::socket() {
  auto made = make_tcp_socket();
  if (!made) {
    return made;
  }
  if (auto marked = marker_.mark_own(made->get()); !marked) {
    return std::move(marked).error();
  }
  return made;
}

Task<Result<Fd>> MarkingDialer::dial(Service /*service*/, const Ipv4Endpoint& to, Deadline /*deadline*/) {
  auto made = socket();
  if (made) {
    if (auto begun = begin_connect(*made, to); !begun) {
      co_return std::move(begun).error();
    }
  }
  co_return made;
}

Result<std::unique_ptr<DataThread>> DataThread::start(Parts parts) {
  auto ids = audit::RequestIds::create();
  if (!ids) {
    return std::move(ids).error();
  }
  std::unique_ptr<DataThread> thread(new DataThread(std::move(parts), *ids));
  if (auto ready = thread->loop_.ready(); !ready) {
    return std::move(ready).error();
  }
  thread->thread_ = std::thread([loop = &thread->loop_] { loop->run(); });
  // For those who look at the threads of a busy or stuck agent.
  ::pthread_setname_np(thread->thread_.native_handle(), "msp-data");
  return thread;
}

DataThread::DataThread(Parts parts, audit::RequestIds ids)
    : identities_(std::move(parts.on_miss)), dialer_(parts.marker), local_(std::move(parts.wake_poll)) {
  plane_ = std::make_unique<proxy::DataPlane>(loop_, std::move(parts.settings), identities_,
                                              proxy::DataPlane::Trace{parts.audit, counters_, ids}, dialer_, local_);
}

DataThread::~DataThread() {
  if (thread_.joinable()) {
    drain(0);
    loop_.stop();
    thread_.join();
  }
}

void DataThread::run_there(const std::function<void()>& f) {
  std::atomic<bool> done = false;
  loop_.post([&] {
    f();
    done = true;
    done.notify_one();
  });
  done.wait(false);
}

Result<void> DataThread::listen(Fd listener, std::function<void()> lost) {
  Result<void> out;
  run_there([&] { out = plane_->listen(std::move(listener), std::move(lost)); });
  return out;
}

void DataThread::adopt(Fd connection) {
  run_there([&] { plane_->adopt(std::move(connection)); });
}

void DataThread::install(std::shared_ptr<const proxy::Gate> gate) {
  run_there([&] { plane_->install(std::move(gate)); });
}

void DataThread::update_status(status::ProvisionView provision, std::string aggregate_json) {
  loop_.post([this, view = std::move(provision), json = std::move(aggregate_json)]() mutable {
    local_.update(std::move(view), std::move(json));
  });
}

void DataThread::set_names(std::shared_ptr<const identity::NameTable> names) {
  loop_.post([this, table = std::move(names)]() mutable { identities_.set_names(std::move(table)); });
}

void DataThread::set_pins(std::shared_ptr<const identity::PinTable> pins) {
  loop_.post([this, table = std::move(pins)]() mutable {
    identities_.set_pins(std::move(table));
    plane_->identities_changed();
  });
}

void DataThread::set_cgroups(std::shared_ptr<const identity::CgroupTable> cgroups) {
  loop_.post([this, table = std::move(cgroups)]() mutable {
    identities_.set_cgroups(std::move(table));
    plane_->identities_changed();
  });
}

void DataThread::drain(std::uint64_t max_ms) {
  run_there([this] { plane_->drain(); });
  bool over = false;
  const auto check = [&] { over = plane_->drained(); };
  const auto poll = [&](std::uint64_t wait_ms) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
    for (run_there(check); !over && std::chrono::steady_clock::now() < until; run_there(check)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  poll(max_ms);
  if (!over) {
    run_there([this] { plane_->abort_all(); });
    poll(6'000);
  }
}

}  // namespace msp::agent
