// SPDX-License-Identifier: Apache-2.0
// Turns what the host says, and local rule files, into the policy snapshot that decides (protocol.md C.6, E, I).
// Owned by the assembly, one control thread; the callback gets each new snapshot there and hands it to the data loop.
// Nothing opens on trouble: a failing local file closes its service, deny_all() closes everything, and of a failed poll
// the Publisher is not told at all, so that the last good rules stay.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/rules_document.h"
#include "policy/snapshot.h"
#include "protocol/status.h"
#include "rules/dump.h"
#include "rules/local_files.h"

namespace msp::rules {

/// Where the rules of a service come from.
enum class Origin : std::uint8_t {
  kNone,         ///< there are none: IMDS answers everybody, the others root alone
  kHost,         ///< the host, alone
  kHostAndFile,  ///< the host, and a local rule file that it switched on
  kFileFailed,   ///< the host's mode; everything is denied, since the local rule file cannot be used
  kDenied,       ///< nobody's: deny_all()
};
/// "none", "host", "host_and_local_file", "local_file_failed", "denied".
std::string_view to_string(Origin origin);

/// For status and doctor; never rule content.
struct ServiceReport {
  Origin origin = Origin::kNone;
  bool has_rules = false;
  std::string id = {};  ///< effective (I.1)
  policy::Mode mode = policy::Mode::kEnforce;
  bool default_allow = true;
  std::string unusable = {};       ///< why everything is denied; empty if it is not
  std::string local_failure = {};  ///< why the local rule file is not used and the service closed; empty if it is not
  std::size_t notes = 0;           ///< oddities found while compiling; the log has them
};

class Publisher {
 public:
  using Publish = std::function<void(std::shared_ptr<const policy::Snapshot>)>;

  /// `local` must outlive the Publisher. Nothing is published yet: until the first good answer current() holds no
  /// rules.
  Publisher(policy::Matching matching, LocalSource& local, Publish publish);

  /// After every good poll. Publishes if anything differs from what holds: id, mode, default, rules or local file,
  /// whether or not the id has changed (L.8, L.26). An absent item means no rules (E.4).
  void apply(const protocol::StatusDocument& document);

  /// Denies everything that rules decide about, until the next apply().
  void deny_all(const std::string& why);

  const std::shared_ptr<const policy::Snapshot>& current() const { return current_; }
  ServiceReport report(Service service) const;
  /// What current() was compiled from; none: no rules, or denied (RuleSet::unusable says why).
  EffectiveItems items() const;

 private:
  struct Held {
    std::optional<RuleItem> item;  ///< effective, as compiled
    std::string local_failure;
    Origin origin = Origin::kNone;

    bool operator==(const Held&) const = default;
  };

  Held effective(const protocol::StatusDocument& document, Service service) const;
  void publish(policy::Snapshot next);

  policy::Matching matching_;
  LocalSource& local_;
  Publish publish_;
  std::array<Held, kServiceCount> held_;
  std::shared_ptr<const policy::Snapshot> current_;
};

}  // namespace msp::rules
