// SPDX-License-Identifier: Apache-2.0
#include "audit/codec.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "base/text_bytes.h"

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
    Text{&Record::user, kMaxName},
    Text{&Record::exe, kMaxPath},
    Text{&Record::process, kMaxName},
    Text{&Record::reason, kMaxName},
    Text{&Record::rule_set, kMaxRuleSet},
    Text{&Record::privilege, kMaxName},
    Text{&Record::role, kMaxName},
    Text{&Record::identity, kMaxName},
    Text{&Record::key_guid, 64},
    // Few records have these; they are last, so that the others need not look at them.
    Text{&Record::exe_rule, kMaxPath},
    Text{&Record::cgroup, kMaxPath},
    Text{&Record::host_code, 64},
    Text{&Record::host_request, 64},
    Text{&Record::dry_run_privilege, kMaxName},
    Text{&Record::dry_run_role, kMaxName},
    Text{&Record::dry_run_identity, kMaxName},
};
constexpr std::size_t kDryRunTexts = 3;
constexpr std::size_t kHostTexts = 2;
constexpr std::size_t kCallerTexts = 2;

/// How many of kTexts are looked at.
std::size_t texts_in(const Record& record) {
  if (record.dry_run != DryRun::kNone) {
    return kTexts.size();
  }
  if (!record.host_code.empty() || !record.host_request.empty()) {
    return kTexts.size() - kDryRunTexts;
  }
  const bool usual = record.exe_rule.empty() && record.cgroup.empty();
  return kTexts.size() - kDryRunTexts - kHostTexts - (usual ? kCallerTexts : 0);
}

std::span<const Text> texts_of(const Record& record) { return std::span(kTexts).first(texts_in(record)); }

// An encoded record: Own, Common, the texts in the order of kTexts.
struct Own {
  std::int64_t time_ns;
  RequestId request;
  std::uint64_t connection;
  std::uint64_t bytes_in;
  std::uint64_t bytes_out;
  std::uint64_t duration_us;
};

/// Without a hole: it is compared as bytes.
struct Common {
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
  std::uint8_t texts;  ///< how many follow
  std::array<std::uint16_t, kTexts.size()> sizes;
  std::array<std::uint16_t, 3> reserved_too;
};
static_assert(std::has_unique_object_representations_v<Common>);

std::size_t text_size(const Record& record, const Text& text) {
  return std::min((record.*text.member).size(), text.limit);
}

}  // namespace

std::size_t encoded_size(const Record& record) {
  std::size_t size = sizeof(Own) + sizeof(Common);
  for (const Text& text : texts_of(record)) {
    size += text_size(record, text);
  }
  return size;
}

std::size_t text_bound(const Record& record) {
  // What is replaced grows to less than four times its length: "/@:", behind a colon, to "/redacted@:". Once its length
  // is counted below.
  std::size_t size = 3 * record.target.size() + 64;
  for (const Text& text : texts_of(record)) {
    size += (record.*text.member).size();
  }
  return size;
}

void encode(const Record& record, char* out) {
  const Own own{.time_ns = record.time_ns,
                .request = record.request,
                .connection = record.connection,
                .bytes_in = record.bytes_in,
                .bytes_out = record.bytes_out,
                .duration_us = record.duration_us};
  Common common{.start_time_ns = record.start_time_ns,
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
                .texts = static_cast<std::uint8_t>(texts_in(record)),
                .sizes = {},
                .reserved_too = {}};
  char* at = out + sizeof own + sizeof common;
  const std::span<const Text> texts = texts_of(record);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string_view text = (record.*texts[i].member).substr(0, texts[i].limit);
    common.sizes[i] = static_cast<std::uint16_t>(text.size());
    at = put_text(at, text);
  }
  std::memcpy(out, &own, sizeof own);
  std::memcpy(out + sizeof own, &common, sizeof common);
}

bool well_formed(std::span<const char> bytes) {
  if (bytes.size() < sizeof(Own) + sizeof(Common)) {
    return false;
  }
  const std::span<const char> common = bytes.subspan(sizeof(Own), sizeof(Common));
  // Looked at as bytes: a bool or an enumerator of no known value must not even be read.
  const auto byte = [&](std::size_t offset) { return static_cast<unsigned char>(common[offset]); };
  if (byte(offsetof(Common, decision)) > static_cast<unsigned>(Decision::kAudit) ||
      byte(offsetof(Common, dry_run)) > static_cast<unsigned>(DryRun::kDeny) ||
      byte(offsetof(Common, has_caller)) > 1 || byte(offsetof(Common, stripped)) > 1 ||
      byte(offsetof(Common, divergence)) > 1 || byte(offsetof(Common, texts)) > kTexts.size()) {
    return false;
  }
  std::array<std::uint16_t, kTexts.size()> sizes{};
  std::memcpy(sizes.data(), common.data() + offsetof(Common, sizes), sizeof sizes);
  std::size_t total = sizeof(Own) + sizeof(Common);
  for (std::size_t i = 0; i < byte(offsetof(Common, texts)); ++i) {
    if (sizes[i] > kTexts[i].limit) {
      return false;
    }
    total += sizes[i];
  }
  return total == bytes.size();
}

Record decode(std::span<const char> bytes) {
  Own own;
  Common common;
  std::memcpy(&own, bytes.data(), sizeof own);
  std::memcpy(&common, bytes.data() + sizeof own, sizeof common);
  Record record;
  record.time_ns = own.time_ns;
  record.request = own.request;
  record.connection = own.connection;
  record.bytes_in = own.bytes_in;
  record.bytes_out = own.bytes_out;
  record.duration_us = own.duration_us;
  record.start_time_ns = common.start_time_ns;
  record.cgroup_id = common.cgroup_id;
  record.uid = common.uid;
  record.gid = common.gid;
  record.pid = common.pid;
  record.status = common.status;
  record.decision = common.decision;
  record.has_caller = common.has_caller;
  record.stripped = common.stripped;
  record.divergence = common.divergence;
  record.dry_run = common.dry_run;
  const char* at = bytes.data() + sizeof own + sizeof common;
  const std::span<const Text> texts = std::span(kTexts).first(common.texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    record.*texts[i].member = {at, common.sizes[i]};
    at += common.sizes[i];
  }
  return record;
}

std::span<const char> common_part(std::span<const char> bytes) { return bytes.subspan(sizeof(Own)); }

}  // namespace msp::audit
