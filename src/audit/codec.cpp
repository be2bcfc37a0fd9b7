// SPDX-License-Identifier: Apache-2.0
#include "audit/codec.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace msp::audit {
namespace {

struct Text {
  std::string_view Record::* member;
  std::size_t limit;
};

constexpr std::array kTexts = {
    Text{&Record::service, kMaxName},
    Text{&Record::method, 32},
    Text{&Record::target, kMaxTarget},
    Text{&Record::client, 64},
    Text{&Record::user, kMaxName},
    Text{&Record::exe, kMaxPath},
    Text{&Record::process, kMaxName},
    Text{&Record::reason, kMaxName},
    Text{&Record::rule_set, kMaxName},
    Text{&Record::privilege, kMaxName},
    Text{&Record::role, kMaxName},
    Text{&Record::identity, kMaxName},
    Text{&Record::key_guid, 64},
    Text{&Record::vm, kMaxName},
    // Few records have these; they are last, so that the others need not look at them.
    Text{&Record::dry_run_privilege, kMaxName},
    Text{&Record::dry_run_role, kMaxName},
    Text{&Record::dry_run_identity, kMaxName},
};
constexpr std::size_t kDryRunTexts = 3;

std::span<const Text> texts_of(DryRun dry_run) {
  return std::span(kTexts).first(kTexts.size() - (dry_run == DryRun::kNone ? kDryRunTexts : 0));
}

/// All of a record but its texts, which follow in the order of texts_of().
struct Numbers {
  std::int64_t time_ns;
  RequestId request;
  std::uint64_t connection;
  std::uint64_t bytes_in;
  std::uint64_t bytes_out;
  std::uint64_t duration_us;
  std::uint64_t start_time_ns;
  std::uint64_t cgroup_id;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint32_t pid;
  std::uint16_t status;
  Decision decision;
  bool has_caller;
  bool stripped;
  bool divergence;
  DryRun dry_run;
  std::array<std::uint16_t, kTexts.size()> sizes;
};

std::size_t text_size(const Record& record, const Text& text) {
  return std::min((record.*text.member).size(), text.limit);
}

}  // namespace

std::size_t encoded_size(const Record& record) {
  std::size_t size = sizeof(Numbers);
  for (const Text& text : texts_of(record.dry_run)) {
    size += text_size(record, text);
  }
  return size;
}

std::size_t text_bound(const Record& record) {
  // The shortest parameter that is replaced, "&sig=", grows to "&sig=redacted".
  std::size_t size = 2 * record.target.size() + 64;
  for (const Text& text : texts_of(record.dry_run)) {
    size += (record.*text.member).size();
  }
  return size;
}

void encode(const Record& record, char* out) {
  Numbers n{.time_ns = record.time_ns,
            .request = record.request,
            .connection = record.connection,
            .bytes_in = record.bytes_in,
            .bytes_out = record.bytes_out,
            .duration_us = record.duration_us,
            .start_time_ns = record.start_time_ns,
            .cgroup_id = record.cgroup_id,
            .uid = record.uid,
            .gid = record.gid,
            .pid = record.pid,
            .status = record.status,
            .decision = record.decision,
            .has_caller = record.has_caller,
            .stripped = record.stripped,
            .divergence = record.divergence,
            .dry_run = record.dry_run,
            .sizes = {}};
  char* at = out + sizeof n;
  const std::span<const Text> texts = texts_of(record.dry_run);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::size_t size = text_size(record, texts[i]);
    n.sizes[i] = static_cast<std::uint16_t>(size);
    if (size != 0) {
      std::memcpy(at, (record.*texts[i].member).data(), size);
    }
    at += size;
  }
  std::memcpy(out, &n, sizeof n);
}

Record decode(std::span<const char> bytes) {
  Numbers n;
  std::memcpy(&n, bytes.data(), sizeof n);
  Record record;
  record.time_ns = n.time_ns;
  record.request = n.request;
  record.connection = n.connection;
  record.bytes_in = n.bytes_in;
  record.bytes_out = n.bytes_out;
  record.duration_us = n.duration_us;
  record.start_time_ns = n.start_time_ns;
  record.cgroup_id = n.cgroup_id;
  record.uid = n.uid;
  record.gid = n.gid;
  record.pid = n.pid;
  record.status = n.status;
  record.decision = n.decision;
  record.has_caller = n.has_caller;
  record.stripped = n.stripped;
  record.divergence = n.divergence;
  record.dry_run = n.dry_run;
  const char* at = bytes.data() + sizeof n;
  const std::span<const Text> texts = texts_of(n.dry_run);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    record.*texts[i].member = {at, n.sizes[i]};
    at += n.sizes[i];
  }
  return record;
}

}  // namespace msp::audit
