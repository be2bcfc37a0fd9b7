// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace msp::agent {
namespace {

// Errors have them. What happened to the machine is the monitor's to say.
constexpr std::array<std::string_view, 2> kFieldsOfErrors = {"MSP_SOURCE", "ERRNO"};
constexpr std::size_t kMostValue = 64;
// All that a pipe holds.
constexpr int kMostParts = 16;

std::string_view cut(std::string_view text, std::size_t most) { return text.substr(0, most); }

}  // namespace

Result<Fd> WorkerLines::open_errors() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return errno_error("pipe");
  }
  close_errors();
  errors_ = Fd(ends[0]);
  Fd theirs(ends[1]);
  watch_.emplace(loop_, errors_.get(), [this](std::uint32_t) { (void)read_errors(); });
  if (auto started = watch_->start(); !started) {
    return std::move(started).error();
  }
  return theirs;
}

void WorkerLines::close_errors() {
  for (int parts = 0; errors_ && parts < kMostParts && read_errors(); ++parts) {
  }
  take_errors("\n");
  watch_.reset();
  errors_.reset();
}

/// A part at a time: the loop has others to serve, and whatever is left comes in its next turn.
bool WorkerLines::read_errors() {
  std::array<char, 4096> bytes{};
  const ssize_t n = ::read(errors_.get(), bytes.data(), bytes.size());
  if (n > 0) {
    take_errors({bytes.data(), static_cast<std::size_t>(n)});
  } else if (watch_ && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
    watch_->stop();
  }
  return n > 0;
}

void WorkerLines::take_errors(std::string_view bytes) {
  for (std::size_t end = bytes.find('\n'); end != bytes.npos; end = bytes.find('\n')) {
    begun_.append(cut(bytes.substr(0, end), link::Line::kMostText - begun_.size()));
    if (!begun_.empty()) {
      write(last_words_, log::Level::kWarn, begun_, {});
    }
    begun_.clear();
    bytes.remove_prefix(end + 1);
  }
  begun_.append(cut(bytes, link::Line::kMostText - begun_.size()));
}

void WorkerLines::take(const link::Line& line) {
  std::vector<JournalField> fields;
  for (const link::Line::Field& field : line.fields) {
    const auto* known = std::ranges::find(kFieldsOfErrors, std::string_view(field.name));
    const bool first = std::ranges::find(fields, field.name, &JournalField::name) == fields.end();
    if (known != kFieldsOfErrors.end() && first) {
      fields.push_back({.name = *known, .value = log::escape(cut(field.value, kMostValue))});
    }
  }
  write(messages_, line.level, line.text, fields);
}

void WorkerLines::write(log::RateLimit& limit, log::Level level, std::string_view text, log::Fields fields) {
  if (!log::enabled(level)) {
    return;
  }
  const auto left_out = limit.admit(loop_.now());
  if (!left_out) {
    return;
  }
  std::vector<JournalField> all = {{.name = "MSP_PROCESS", .value = "worker"}};
  all.insert(all.end(), fields.begin(), fields.end());
  if (*left_out != 0) {
    log::warn("{} lines of the worker were left out", *left_out);
  }
  log::write(level, fmt::format("worker: {}", cut(text, link::Line::kMostText)), log::Fields(all));
}

}  // namespace msp::agent
