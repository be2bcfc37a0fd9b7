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
struct Place {
  Listing listing;
  std::string_view path;
  std::string_view what;  ///< for messages
};
constexpr std::array kPlaces{
    Place{.listing = Listing::kMachines, .path = "/v1/virtualMachines", .what = "virtual machine"},
    Place{.listing = Listing::kScaleSets, .path = "/v1/scaleSets", .what = "scale set"},
    Place{.listing = Listing::kProfiles, .path = "/v1/accessControlProfiles", .what = "profile"},
};
constexpr std::string_view kHost = "/v1/host";
constexpr std::string_view kBackup = "/v1/backup";
constexpr std::string_view kApply = "/v1/apply";
constexpr std::string_view kImport = "/v1/import";
constexpr std::string_view kRecipient = "/v1/recipient";
constexpr std::string_view kResetKey = "/resetKey";
constexpr std::string_view kExport = "/export";
constexpr std::string_view kReports = "/reports";
constexpr std::string_view kEvents = "/events";
constexpr std::string_view kAudit = "/audit";

http::Response no_method(const http::Request& request, std::string_view allowed) {
  return http::Response::error(request, 405, "method_not_allowed", fmt::format("Use {}.", allowed))
      .header("allow", allowed);
}

http::Response good(std::string body) {
  return http::Response::json(200, std::move(body)).header("cache-control", "no-store");
}

}  // namespace

AdminServer::AdminServer(Loop& loop, http::BufferPool& buffers, Inventory& inventory, GuestState& state,
                         const Clock& clock)
    : loop_(loop),
      inventory_(inventory),
      state_(state),
      clock_(clock),
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
    co_return http::Response::error(request, 403, "not_owner",
                                    "The admin socket is for root and the user that runs msp-host.")
        .close();
  }
  if (request.target.path == kBackup) {
    auto response = co_await backup(request);
    co_return response;
  }
  co_return answer(request);
}

Task<http::Response> AdminServer::backup(const http::Request& request) {
  if (request.head.method != "POST") {
    co_return no_method(request, "POST");
  }
  if (store_ == nullptr || backing_up_) {
    co_return http::Response::error(request, 409, "refused",
                                    "Another backup is being taken: ask again when it is done.");
  }
  backing_up_ = true;
  auto copy = co_await take_copy();
  backing_up_ = false;
  if (!copy.ok()) {
    log::write(copy.error());
    co_return http::Response::error(request, 503, "store_failed",
                                    fmt::format("There is no backup: {}", copy.error().text()));
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

http::Response AdminServer::answer(const http::Request& request) {
  const std::string_view path = request.target.path;
  if (path == kApply) {
    return request.head.method == "POST" ? apply(request) : no_method(request, "POST");
  }
  if (path == kImport) {
    return request.head.method == "POST" ? take_in(request) : no_method(request, "POST");
  }
  if (path == kRecipient) {
    const auto recipient = inventory_.recipient();
    return request.head.method != "GET" ? no_method(request, "GET")
           : recipient                  ? good(recipient_json(*recipient))
                                        : failed(request, recipient.error());
  }
  if (path == kHost) {
    return request.head.method == "GET" ? good(host_json(listeners_)) : no_method(request, "GET");
  }
  for (const Place& place : kPlaces) {
    if (path == place.path) {
      if (request.head.method != "GET") {
        return no_method(request, "GET");
      }
      return good(list_json(inventory_, place.listing, state_.unknown_callers));
    }
    if (path.starts_with(place.path) && path[place.path.size()] == '/') {
      return answer_resource(request, place.listing, place.what, path.substr(place.path.size() + 1));
    }
  }
  return http::Response::error(request, 404, "no_such_path", "The paths stand in docs/host-admin.md.");
}

http::Response AdminServer::answer_resource(const http::Request& request, Listing listing, std::string_view what,
                                            std::string_view rest) {
  const bool machines = listing == Listing::kMachines;
  const bool resets = listing != Listing::kProfiles && rest.ends_with(kResetKey);
  const bool exports = machines && rest.ends_with(kExport);
  const bool reports = machines && rest.ends_with(kReports);
  const bool audit = machines && rest.ends_with(kAudit);
  const auto events_at = machines ? rest.rfind(kEvents) : std::string_view::npos;
  const std::string_view below = events_at == std::string_view::npos ? "" : rest.substr(events_at + kEvents.size());
  const bool has_events = events_at != std::string_view::npos && (below.empty() || below.front() == '/');
  const std::size_t suffix = resets       ? kResetKey.size()
                             : exports    ? kExport.size()
                             : reports    ? kReports.size()
                             : audit      ? kAudit.size()
                             : has_events ? kEvents.size() + below.size()
                                          : 0;
  const auto word = percent_decoded(rest.substr(0, rest.size() - suffix));
  if (!word || word->empty()) {
    return http::Response::error(request, 400, "bad_name", "The name in the path is malformed.");
  }
  const auto found = inventory_.find(listing, *word);
  if (found.empty()) {
    return http::Response::error(request, 404, "not_found", fmt::format("There is no {} '{}'.", what, *word));
  }
  if (found.size() > 1) {
    std::string keys;
    for (const Resource* resource : found) {
      keys += fmt::format("{}{}", keys.empty() ? "" : ", ", resource->name.key);
    }
    return http::Response::error(request, 409, "ambiguous", fmt::format("'{}' may be {}.", *word, keys));
  }
  const ResourceName name = found.front()->name;
  const std::string_view method = request.head.method;
  if (resets) {
    return method == "POST" ? finish(request, inventory_.reset_key(name), false) : no_method(request, "POST");
  }
  if (exports) {
    return method == "POST" ? send_away(request, name) : no_method(request, "POST");
  }
  if (has_events) {
    return events(request, name.key, below);
  }
  if (reports) {
    return method == "GET" ? good(reports_json(state_.reports.find(name.key))) : no_method(request, "GET");
  }
  if (audit) {
    if (method == "DELETE") {
      state_.audits.forget(name.key);
    } else if (method != "GET") {
      return no_method(request, "GET, DELETE");
    }
    return good(audit_json(state_.audits.find(name.key)));
  }
  if (method == "GET") {
    return good(resource_json(inventory_, *found.front(), true));
  }
  return method == "DELETE" ? finish(request, inventory_.remove(name), false) : no_method(request, "GET, DELETE");
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
                    : http::Response::error(request, 404, "not_found", "There is no such event.");
  }
  if (method == "GET") {
    return good(events_json(state_.events.at(vm_id, now)));
  }
  if (method != "POST") {
    return no_method(request, "GET, POST");
  }
  auto given = read_event(request.body, now);
  if (!given) {
    return http::Response::error(request, 400, "malformed", given.error().text());
  }
  log::info("an event is scheduled: {}", given->type);
  if (const auto added = state_.events.add(vm_id, std::move(*given)); !added) {
    return added.error().source == Source::kConfig
               ? http::Response::error(request, 409, "refused", added.error().text())
               : failed(request, added.error());
  }
  return good(events_json(state_.events.at(vm_id, now)));
}

http::Response AdminServer::apply(const http::Request& request) {
  const std::string_view query = request.target.query;
  if (request.target.has_query && query != "dryRun=true" && query != "dryRun=false") {
    return http::Response::error(request, 400, "bad_query", "dryRun=true is all there is.");
  }
  auto given = read_given(request.body);
  if (!given) {
    return http::Response::error(request, 400, "malformed", given.error().text());
  }
  const bool dry_run = query == "dryRun=true";
  return finish(request, inventory_.apply(*given, dry_run), dry_run);
}

http::Response AdminServer::send_away(const http::Request& request, const ResourceName& name) {
  const auto recipient = read_recipient(request.body);
  if (!recipient) {
    return http::Response::error(request, 400, "malformed", recipient.error().text());
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
    return http::Response::error(request, 400, "malformed", given.error().text());
  }
  return finish(request, inventory_.arrive(given->machine, std::move(given->addresses)), false);
}

http::Response AdminServer::failed(const http::Request& request, const Error& error) {
  log::write(error);
  return http::Response::error(request, 503, "store_failed", fmt::format("Nothing was changed: {}", error.text()));
}

http::Response AdminServer::finish(const http::Request& request, Result<ChangeOutcome> outcome, bool dry_run) {
  if (!outcome) {
    return failed(request, outcome.error());
  }
  if (!outcome->faults.empty()) {
    return http::Response::json(409, refusal_json(*outcome, request.request_id)).header("cache-control", "no-store");
  }
  return good(outcome_json(*outcome, dry_run));
}

}  // namespace msp::gateway
