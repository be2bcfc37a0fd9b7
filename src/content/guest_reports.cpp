// SPDX-License-Identifier: Apache-2.0
#include "content/guest_reports.h"

#include <utility>

#include "base/utf8.h"

namespace msp::content {
namespace {

constexpr std::size_t kMostAgent = 64;

void count(GuestReport::Count& counter, std::uint64_t bytes, std::int64_t now_ns) {
  ++counter.requests;
  counter.bytes += bytes;
  counter.last_ns = now_ns;
}

}  // namespace

GuestReports::Entry& GuestReports::entry(const std::string& vm_id) {
  return entries_.try_emplace(vm_id, Entry{.report = {}, .place = kept_.end()}).first->second;
}

void GuestReports::drop_document(Entry& entry) {
  if (entry.place != kept_.end()) {
    bytes_ -= entry.report.status.document.size();
    entry.report.status.document = std::string();
    kept_.erase(entry.place);
    entry.place = kept_.end();
  }
}

void GuestReports::health(const std::string& vm_id, HealthReport report, std::string_view user_agent,
                          std::int64_t now_ns) {
  GuestReport& kept = entry(vm_id).report;
  kept.health = std::move(report);
  kept.health_by = utf8_truncate(utf8_repair(user_agent.substr(0, user_agent.find(' '))), kMostAgent);
  kept.health_ns = now_ns;
}

void GuestReports::status(const std::string& vm_id, AgentStatus status, std::int64_t now_ns) {
  if (status.document.empty()) {
    return;
  }
  Entry& kept = entry(vm_id);
  drop_document(kept);
  kept.report.status = std::move(status);
  kept.report.status_ns = now_ns;
  bytes_ += kept.report.status.document.size();
  kept.place = kept_.insert(kept_.end(), &kept);
  while (bytes_ > most_) {
    drop_document(*kept_.front());
  }
}

void GuestReports::telemetry(const std::string& vm_id, std::uint64_t bytes, std::int64_t now_ns) {
  count(entry(vm_id).report.telemetry, bytes, now_ns);
}

void GuestReports::log(const std::string& vm_id, std::uint64_t bytes, std::int64_t now_ns) {
  count(entry(vm_id).report.logs, bytes, now_ns);
}

void GuestReports::observation(const std::string& vm_id, std::uint64_t bytes, std::int64_t now_ns) {
  count(entry(vm_id).report.observations, bytes, now_ns);
}

const GuestReport* GuestReports::find(const std::string& vm_id) const {
  const auto found = entries_.find(vm_id);
  return found == entries_.end() ? nullptr : &found->second.report;
}

void GuestReports::forget(const std::string& vm_id) {
  if (const auto found = entries_.find(vm_id); found != entries_.end()) {
    drop_document(found->second);
    entries_.erase(found);
  }
}

}  // namespace msp::content
