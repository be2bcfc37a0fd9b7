// SPDX-License-Identifier: Apache-2.0
#include "gateway/admin_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/unix_socket.h"
#include "gateway/admin_view.h"
#include "gateway/audit_view.h"
#include "gateway/percent.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kMostConnections = 32;
constexpr std::uint64_t kMostBody = std::uint64_t{16} << 20;
constexpr std::array kPlaces{
    AdminServer::Place{.listing = Listing::kMachines,
                       .path = "/v1/virtualMachines",
                       .what = "virtual machine",
                       .list = "mspctl vm list"},
    AdminServer::Place{
        .listing = Listing::kScaleSets, .path = "/v1/scaleSets", .what = "scale set", .list = "mspctl vmss list"},
    AdminServer::Place{.listing = Listing::kProfiles,
                       .path = "/v1/accessControlProfiles",
                       .what = "profile",
                       .list = "mspctl profile list"},
};
constexpr std::string_view kHost = "/v1/host";
constexpr std::string_view kBackup = "/v1/backup";
constexpr std::string_view kApply = "/v1/apply";
constexpr std::string_view kImport = "/v1/import";
constexpr std::string_view kRecipient = "/v1/recipient";
constexpr std::string_view kResetKey = "/resetKey";
constexpr std::string_view kRotateKey = "/rotateKey";
constexpr std::string_view kExport = "/export";
constexpr std::string_view kReports = "/reports";
constexpr std::string_view kEvents = "/events";
constexpr std::string_view kAudit = "/audit";

constexpr std::string_view kSeeLog = "the log of msp-host says more; most often the disk is full";
constexpr std::string_view kForms = "docs/host-admin.md has the forms";

http::Response answer_with(int status, std::string body) {
  return http::Response::json(status, std::move(body)).header("cache-control", "no-store");
}

http::Response good(std::string body) { return answer_with(200, std::move(body)); }

http::Response complain(const http::Request& request, int status, std::string_view code, std::string_view description,
                        std::string_view remedy) {
  return answer_with(status, complaint_json(code, description, remedy, request.request_id));
}

/// `remedy`: where the error has none of its own.
http::Response complain(const http::Request& request, int status, std::string_view code, const Error& error,
                        std::string_view remedy) {
  Error bare = error;
  bare.hint.clear();
  return complain(request, status, code, bare.text(), error.hint.empty() ? remedy : std::string_view(error.hint));
}

http::Response no_method(const http::Request& request, std::string_view allowed) {
  return complain(request, 405, "method_not_allowed", "this path does not support the method",
                  fmt::format("use {}", allowed))
      .header("allow", allowed);
}

}  // namespace

AdminServer::AdminServer(Loop& loop, http::BufferPool& buffers, Inventory& inventory, GuestState& state,
                         const Clock& clock)
    : loop_(loop),
      inventory_(inventory),
      state_(state),
      clock_(clock),
      changed_(loop),
      server_(loop, buffers, *this, {.head_ms = 2'000, .idle_ms = 10'000, .max_connections = kMostConnections}) {}

Result<void> AdminServer::listen(const std::string& path) {
  auto socket = listen_unix(path, "msp-host");
  if (!socket.ok()) {
    return std::move(socket).error().context("adminSocket");
  }
  path_ = path;
  return server_.listen(std::move(*socket));
}

void AdminServer::unlink() {
  if (!path_.empty()) {
    ::unlink(std::exchange(path_, {}).c_str());
  }
}

Task<void> AdminServer::drain(Deadline deadline) {
  unlink();
  co_await server_.drain(deadline);
}

std::uint64_t AdminServer::body_limit(const http::Request&) { return kMostBody; }

Task<http::Response> AdminServer::handle(const http::Request& request) {
  const auto& uid = request.connection.peer_uid;
  if (!uid || (*uid != 0U && *uid != ::geteuid())) {
    if (const auto dropped = strangers_.admit(clock_.boottime_ms())) {
      log::warn("admin API: user {} was refused: not_owner, request {} ({} such lines left out)",
                uid ? std::to_string(*uid) : "unknown", request.request_id, *dropped);
    }
    co_return complain(request, 403, "not_owner", "the admin socket is for root and the user that runs msp-host",
                       "run it as root")
        .close();
  }
  if (request.target.path == kBackup) {
    auto response = co_await backup(request);
    co_return response;
  }
  if (request.head.method == "GET") {
    auto shown = co_await answer(request);
    co_return shown;
  }
  // One change at a time: it may let guests have their turns before it is made.
  while (changing_) {
    co_await changed_.wait(kNoDeadline);
  }
  changing_ = true;
  auto response = co_await answer(request);
  changing_ = false;
  changed_.announce();
  co_return response;
}

Task<http::Response> AdminServer::backup(const http::Request& request) {
  if (request.head.method != "POST") {
    co_return no_method(request, "POST");
  }
  if (store_ == nullptr || backing_up_) {
    co_return complain(request, 409, "refused", "another backup is being taken", "ask again when it is done");
  }
  backing_up_ = true;
  auto copy = co_await take_copy();
  backing_up_ = false;
  if (!copy.ok()) {
    log::write(copy.error());
    co_return complain(request, 503, "store_failed", std::move(copy).error().context("there is no backup"), kSeeLog);
  }
  log::info("a backup of {} bytes is given out", copy->size());
  http::Response response;
  response.header("content-type", "application/vnd.sqlite3").header("cache-control", "no-store");
  response.body(std::move(*copy));
  co_return response;
}

/// In small steps, between which everybody else is served.
Task<Result<std::string>> AdminServer::take_copy() {
  auto copy = store_->begin_backup();
  if (!copy.ok()) {
    co_return std::move(copy).error();
  }
  for (;;) {
    const auto whole = (*copy)->step();
    if (!whole.ok()) {
      co_return whole.error();
    }
    if (*whole) {
      co_return (*copy)->bytes();
    }
    co_await loop_.next_turn();
  }
}

Task<http::Response> AdminServer::answer(const http::Request& request) {
  const std::string_view path = request.target.path;
  if (path == kApply && request.head.method == "POST") {
    auto applied = co_await apply(request);
    co_return applied;
  }
  if (path == kApply) {
    co_return no_method(request, "POST");
  }
  if (path == kImport) {
    co_return request.head.method == "POST" ? take_in(request) : no_method(request, "POST");
  }
  if (path == kRecipient) {
    const auto recipient = inventory_.recipient();
    co_return request.head.method != "GET" ? no_method(request, "GET")
    : recipient                            ? good(recipient_json(*recipient))
                                           : failed(request, recipient.error());
  }
  if (path == kHost) {
    co_return request.head.method == "GET" ? good(host_json(listeners_)) : no_method(request, "GET");
  }
  for (const Place& place : kPlaces) {
    if (path == place.path) {
      if (request.head.method != "GET") {
        co_return no_method(request, "GET");
      }
      co_return good(list_json(inventory_, place.listing, state_.unknown_callers));
    }
    if (path.starts_with(place.path) && path[place.path.size()] == '/') {
      auto answered = co_await answer_resource(request, place, path.substr(place.path.size() + 1));
      co_return answered;
    }
  }
  co_return complain(request, 404, "no_such_path",
                     "this is the admin API of msp-host, and there is nothing at this path",
                     "docs/host-admin.md has the paths; for an agent's socket: mspctl status --socket PATH");
}

Task<http::Response> AdminServer::answer_resource(const http::Request& request, const Place& place,
                                                  std::string_view rest) {
  const Listing listing = place.listing;
  const bool machines = listing == Listing::kMachines;
  const bool resets = listing != Listing::kProfiles && rest.ends_with(kResetKey);
  const bool rotates = listing != Listing::kProfiles && rest.ends_with(kRotateKey);
  const bool exports = machines && rest.ends_with(kExport);
  const bool reports = machines && rest.ends_with(kReports);
  const bool audit = machines && rest.ends_with(kAudit);
  const auto events_at = machines ? rest.rfind(kEvents) : std::string_view::npos;
  const std::string_view below = events_at == std::string_view::npos ? "" : rest.substr(events_at + kEvents.size());
  const bool has_events = events_at != std::string_view::npos && (below.empty() || below.front() == '/');
  const std::size_t suffix = resets       ? kResetKey.size()
                             : rotates    ? kRotateKey.size()
                             : exports    ? kExport.size()
                             : reports    ? kReports.size()
                             : audit      ? kAudit.size()
                             : has_events ? kEvents.size() + below.size()
                                          : 0;
  const auto word = percent_decoded(rest.substr(0, rest.size() - suffix));
  if (!word || word->empty()) {
    co_return complain(request, 400, "bad_name", "the name in the path is malformed", "encode it with percent signs");
  }
  const auto found = inventory_.find(listing, *word);
  if (found.empty()) {
    co_return complain(request, 404, "not_found", fmt::format("there is no {} '{}'", place.what, *word),
                       fmt::format("{} shows those that are there", place.list));
  }
  if (found.size() > 1) {
    std::string keys;
    for (const Resource* resource : found) {
      keys += fmt::format("{}{}", keys.empty() ? "" : ", ", resource->name.key);
    }
    co_return complain(request, 409, "ambiguous", fmt::format("'{}' may be {}", *word, keys),
                       "name it by one of these");
  }
  const ResourceName name = found.front()->name;
  const std::string_view method = request.head.method;
  if (resets || rotates) {
    const KeyEnd end = resets ? KeyEnd::kAtOnce : KeyEnd::kOnceReplaced;
    if (method != "POST") {
      co_return no_method(request, "POST");
    }
    auto ended = co_await inventory_.end_key(name, end, Pauses(loop_));
    co_return finish(request, std::move(ended), false);
  }
  if (exports) {
    co_return method == "POST" ? send_away(request, name) : no_method(request, "POST");
  }
  if (has_events) {
    co_return events(request, name.key, below);
  }
  if (reports) {
    co_return method == "GET" ? good(reports_json(state_.reports.find(name.key))) : no_method(request, "GET");
  }
  if (audit) {
    if (method == "DELETE") {
      state_.audits.forget(name.key);
    } else if (method != "GET") {
      co_return no_method(request, "GET, DELETE");
    }
    co_return good(audit_json(state_.audits.find(name.key)));
  }
  if (method == "GET") {
    co_return good(resource_json(inventory_, *found.front(), true));
  }
  co_return method == "DELETE" ? finish(request, inventory_.remove(name), false) : no_method(request, "GET, DELETE");
}

/// `event`: "/ID", or empty: all of them.
http::Response AdminServer::events(const http::Request& request, const std::string& vm_id, std::string_view event) {
  const std::string_view method = request.head.method;
  const std::int64_t now = clock_.realtime_ns() / 1'000'000'000;
  if (!event.empty()) {
    if (method != "DELETE") {
      return no_method(request, "DELETE");
    }
    const auto ended = state_.events.end(vm_id, event.substr(1));
    return !ended   ? failed(request, ended.error())
           : *ended ? good(events_json(state_.events.at(vm_id, now)))
                    : complain(request, 404, "not_found", "there is no such event",
                               "mspctl vm event VM shows those that are there");
  }
  if (method == "GET") {
    return good(events_json(state_.events.at(vm_id, now)));
  }
  if (method != "POST") {
    return no_method(request, "GET, POST");
  }
  auto given = read_event(request.body, now);
  if (!given) {
    return complain(request, 400, "malformed", given.error(), "mspctl vm event --help says what an event has");
  }
  const std::string type = given->type;
  if (const auto added = state_.events.add(vm_id, std::move(*given)); !added) {
    return added.error().source == Source::kConfig
               ? complain(request, 409, "refused", added.error(), "end one that is over: mspctl vm event VM --end ID")
               : failed(request, added.error());
  }
  log::info("an event is scheduled: {}", type);
  return good(events_json(state_.events.at(vm_id, now)));
}

Task<http::Response> AdminServer::apply(const http::Request& request) {
  const std::string_view query = request.target.query;
  if (request.target.has_query && query != "dryRun=true" && query != "dryRun=false") {
    co_return complain(request, 400, "bad_query", "the query is not known", "dryRun=true is all there is");
  }
  auto given = read_given(request.body);
  if (!given) {
    co_return complain(request, 400, "malformed", given.error(), kForms);
  }
  const bool dry_run = query == "dryRun=true";
  auto outcome = co_await inventory_.apply(*std::move(given), dry_run, KeyEnd::kAtOnce, Pauses(loop_));
  co_return finish(request, std::move(outcome), dry_run);
}

http::Response AdminServer::send_away(const http::Request& request, const ResourceName& name) {
  const auto recipient = read_recipient(request.body);
  if (!recipient) {
    return complain(request, 400, "malformed", recipient.error(),
                    "give what mspctl key recipient prints on the other host");
  }
  auto departure = inventory_.depart(name, *recipient);
  if (!departure) {
    return failed(request, departure.error());
  }
  return departure->outcome.faults.empty() ? good(departure_json(*departure))
                                           : finish(request, std::move(departure->outcome), false);
}

http::Response AdminServer::take_in(const http::Request& request) {
  auto given = read_arrival(request.body);
  if (!given) {
    return complain(request, 400, "malformed", given.error(), kForms);
  }
  return finish(request, inventory_.arrive(given->machine, std::move(given->addresses), std::move(given->network)),
                false);
}

http::Response AdminServer::failed(const http::Request& request, const Error& error) {
  log::write(error);
  return complain(request, 503, "store_failed", Error(error).context("nothing was changed"), kSeeLog);
}

http::Response AdminServer::finish(const http::Request& request, Result<ChangeOutcome> outcome, bool dry_run) {
  if (!outcome) {
    return failed(request, outcome.error());
  }
  if (!outcome->faults.empty()) {
    return answer_with(409, refusal_json(*outcome, request.request_id));
  }
  return good(outcome_json(*outcome, dry_run));
}

}  // namespace msp::gateway
