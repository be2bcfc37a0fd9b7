// SPDX-License-Identifier: Apache-2.0
#include "audit/writer.h"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <map>

#include "audit/codec.h"
#include "base/json.h"
#include "base/version.h"

namespace msp::audit {
namespace {

constexpr std::size_t kBatchBytes = std::size_t{64} << 10;
constexpr std::uint64_t kMostMalformed = 1000;  // in one batch: others wait for it
constexpr std::string_view kSpoiled = "spoiled";
constexpr auto kFlushPatience = std::chrono::seconds(2);
constexpr std::uint64_t kLookEveryMs = 1000;

}  // namespace

Writer::Writer(const Config& config, const Clock& clock, Queue& queue, Views views)
    : config_(config),
      clock_(clock),
      queue_(queue),
      views_(views),
      file_({.path = config.path, .mode = config.mode, .rotate_bytes = config.rotate_bytes, .keep = config.keep}) {}

Result<void> Writer::open() {
  auto previous = file_.open();
  if (!previous) {
    if (!LogFile::may_pass(previous.error())) {
      return std::move(previous).error().context("audit log");
    }
    note_failure(previous.error());
  }
  const PreviousEnd end = previous ? *previous : PreviousEnd::kUnknown;
  if (end == PreviousEnd::kUnclean) {
    log::warn("audit log {}: the run before did not end cleanly; it may have lost up to {} KiB of records",
              config_.path, config_.queue_bytes >> 10);
  }
  events_ = start_event(end);
  // Alone, so that it is there even if what comes first does not fit on the disk.
  (void)drain();
  return {};
}

void Writer::run() {
  while (true) {
    std::uint64_t ticket = 0;
    {
      const std::lock_guard lock(mutex_);
      ticket = flush_asked_;
      look_ = look_ || ticket != flush_done_;
    }
    const std::uint64_t before = queue_.ring().tail();
    const bool good = drain() && announce_losses();
    if (good) {
      announce_flush(ticket);
    }
    if (stop_.load(std::memory_order_acquire)) {
      break;
    }
    rest(queue_.ring().tail() != before, !good);
  }
  finish();
}

void Writer::stop() {
  stop_.store(true, std::memory_order_release);
  queue_.wake();
}

bool Writer::flush() {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = ++flush_asked_;
  queue_.wake();
  return flushed_.wait_for(lock, kFlushPatience, [&] { return flush_done_ >= mine; });
}

void Writer::announce_flush(std::uint64_t ticket) {
  {
    const std::lock_guard lock(mutex_);
    if (flush_done_ == ticket) {
      return;
    }
    flush_done_ = ticket;
  }
  flushed_.notify_all();
}

/// Only a data plane that is broken, or somebody else's by now, leaves such records.
void Writer::note_spoiled() {
  const std::uint64_t now = queue_.ring().spoiled() + malformed_;
  if (now == spoiled_) {
    return;
  }
  spoiled_ = now;
  shown_ = batch_.end;
  own_losses_.count(kSpoiled);
  if (loss_lines_.admit(clock_.boottime_ms())) {
    log::bug("audit log {}: the data plane left records that are none", config_.path);
  }
}

bool Writer::time_to_look() {
  const std::uint64_t now = clock_.boottime_ms();
  if (!look_ && now < next_look_ms_) {
    return false;
  }
  look_ = false;
  next_look_ms_ = now + kLookEveryMs;
  return true;
}

/// False when something could not be written.
bool Writer::drain() {
  while (true) {
    fill(batch_);
    note_spoiled();
    if (batch_.text.empty()) {
      queue_.ring().release(batch_.end);
      return true;
    }
    const std::uint64_t rotations = file_.rotations();
    auto written = file_.append(batch_.text, time_to_look(), [this] { return event("continued") + "}\n"; });
    if (file_.rotations() != rotations) {
      rotations_.fetch_add(1, std::memory_order_relaxed);
    }
    if (!written) {
      note_failure(written.error());
      return false;
    }
    account(batch_);
    note_success();
  }
}

void Writer::fill(Batch& batch) {
  Ring& ring = queue_.ring();
  batch.text = events_;
  batch.end = ring.tail();
  batch.permits = batch.denials = batch.audits = 0;
  const std::uint64_t malformed_before = malformed_;
  Tally::Adding tally(views_.tally);
  while (batch.text.size() < kBatchBytes && malformed_ - malformed_before < kMostMalformed) {
    std::uint64_t at = batch.end;
    const std::span<const char> bytes = ring.next(at);
    if (bytes.empty()) {
      batch.end = at;
      break;
    }
    if (!well_formed(bytes)) {
      ++malformed_;
      batch.end = at;
      continue;
    }
    const Record record = decode(bytes);
    const bool alike = lines_.append(batch.text, record, bytes);
    ++(record.decision == Decision::kPermit ? batch.permits
       : record.decision == Decision::kDeny ? batch.denials
                                            : batch.audits);
    // A batch that could not be written is made again later: its records are known by then.
    const bool known = at <= shown_;
    if (!known) {
      tally.add(record, alike && tallied_);
    }
    tallied_ = !known;
    if (!known && refused_by_host(record)) {
      views_.host_refusals.add(record);
    }
    if (record.decision != Decision::kPermit && !known) {
      views_.refusals.add(record);
    }
    batch.end = at;
  }
  shown_ = std::max(shown_, batch.end);
}

void Writer::account(const Batch& batch) {
  events_.clear();
  queue_.ring().release(batch.end);
  permits_.fetch_add(batch.permits, std::memory_order_relaxed);
  denials_.fetch_add(batch.denials, std::memory_order_relaxed);
  audits_.fetch_add(batch.audits, std::memory_order_relaxed);
}

void Writer::note_failure(const Error& error) {
  const std::string text = error.text();
  bool fresh = false;
  {
    const std::lock_guard lock(mutex_);
    fresh = problem_.empty();
    problem_ = text;
  }
  if (fresh) {
    log::error("audit log {} cannot be written, requests go on and losses are counted: {}", config_.path, text);
    log::hint("free space on its disk or mend the cause; writing goes on by itself");
  }
}

void Writer::note_success() {
  bool mended = false;
  {
    const std::lock_guard lock(mutex_);
    mended = !problem_.empty();
    problem_.clear();
  }
  if (mended) {
    log::info("audit log {} is written again", config_.path);
  }
}

/// False when the line could not be written.
bool Writer::announce_losses() {
  const std::uint64_t total = lost();
  if (total == announced_ || !loss_lines_.admit(clock_.boottime_ms())) {
    return true;
  }
  log::warn("audit log {}: {} records lost since start, its queue was full", config_.path, total);
  announced_ = total;
  events_ += counts_event("lost");
  return drain();
}

void Writer::rest(bool wrote, bool failed) {
  if (failed) {
    queue_.rest(Queue::Rest::kStalled, static_cast<int>(config_.retry_ms));
    return;
  }
  if (!wrote) {
    queue_.rest(Queue::Rest::kSleep, -1);
    // One record has come: others may follow, so wait for them before the file is touched.
  }
  if (!stop_.load(std::memory_order_acquire)) {
    queue_.rest(Queue::Rest::kNap, static_cast<int>(config_.nap_ms));
  }
}

void Writer::finish() {
  look_ = true;
  if (!drain()) {
    count_rest_as_lost();
  }
  events_ += counts_event("end");
  if (!drain()) {
    log::error("audit log {}: {} records lost since start, and no end could be written", config_.path, lost());
  }
}

void Writer::count_rest_as_lost() {
  Ring& ring = queue_.ring();
  std::uint64_t at = ring.tail();
  for (auto bytes = ring.next(at); !bytes.empty(); bytes = ring.next(at)) {
    own_losses_.count(well_formed(bytes) ? decode(bytes).reason : kSpoiled);
  }
  ring.release(at);
}

std::string Writer::event(std::string_view name) const {
  return fmt::format(R"({{"event":"{}","time":"{}")", name, timestamp_us(clock_.realtime_ns()));
}

std::string Writer::start_event(PreviousEnd previous) const {
  return event("start") + fmt::format(R"(,"previous_end":"{}","version":"{}","pid":{}}})"
                                      "\n",
                                      to_string(previous), version(), ::getpid());
}

std::string Writer::counts_event(std::string_view name) const {
  const Counters now = counters();
  std::string out = event(name);
  out += fmt::format(R"(,"written":{},"permits":{},"denials":{},"audits":{},"lost":{},"lost_by_reason":{{)",
                     now.written, now.permits, now.denials, now.audits, now.lost);
  for (std::size_t i = 0; i < now.losses.size(); ++i) {
    out += i == 0 ? "" : ",";
    json::append_json_string(out, now.losses[i].reason);
    out += fmt::format(":{}", now.losses[i].count);
  }
  out += "}}\n";
  return out;
}

Counters Writer::counters() const {
  Counters out;
  out.permits = permits_.load(std::memory_order_relaxed);
  out.denials = denials_.load(std::memory_order_relaxed);
  out.audits = audits_.load(std::memory_order_relaxed);
  out.written = out.permits + out.denials + out.audits;
  out.rotations = rotations_.load(std::memory_order_relaxed);
  std::map<std::string, std::uint64_t> sums;
  queue_.losses().add_to(sums);
  own_losses_.add_to(sums);
  for (auto& [reason, count] : sums) {
    out.lost += count;
    out.losses.push_back({.reason = reason, .count = count});
  }
  const std::lock_guard lock(mutex_);
  out.problem = problem_;
  return out;
}

}  // namespace msp::audit
