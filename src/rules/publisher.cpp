// SPDX-License-Identifier: Apache-2.0
#include "rules/publisher.h"

#include "base/log.h"

namespace msp::rules {
namespace {

constexpr std::array kServices = {Service::kImds, Service::kWireServer, Service::kHostGaPlugin};

std::size_t index_of(Service service) { return static_cast<std::size_t>(service); }

void log_rules(Service service, const std::shared_ptr<const policy::RuleSet>& rules) {
  const std::string name(to_string(service));
  if (!rules) {
    log::write(log::Level::kInfo, fmt::format("rules of {}: none", name),
               {{"MSP_EVENT", "rules"}, {"MSP_SERVICE", name}});
    return;
  }
  if (!rules->unusable().empty()) {
    log::write(log::Level::kError, fmt::format("rules of {}: everything is denied: {}", name, rules->unusable()),
               {{"MSP_EVENT", "rules_unusable"}, {"MSP_SERVICE", name}, {"MSP_RULE_SET", rules->id()}});
    return;
  }
  log::write(
      log::Level::kInfo,
      fmt::format("rules of {}: \"{}\", mode {}, {} privileges, default {}", name, rules->id(),
                  to_string(rules->mode()), rules->privileges().size(), rules->default_allow() ? "allow" : "deny"),
      {{"MSP_EVENT", "rules"},
       {"MSP_SERVICE", name},
       {"MSP_RULE_SET", rules->id()},
       {"MSP_MODE", std::string(to_string(rules->mode()))}});
  for (const std::string& note : rules->notes()) {
    log::write(log::Level::kWarn, fmt::format("rules of {}: {}", name, note),
               {{"MSP_EVENT", "rules_note"}, {"MSP_SERVICE", name}, {"MSP_RULE_SET", rules->id()}});
  }
}

Origin origin_of(const LocalRules& local) {
  switch (local.state) {
    case LocalRules::State::kMissing:
      return Origin::kHost;
    case LocalRules::State::kValid:
      return Origin::kHostAndFile;
    case LocalRules::State::kFailed:
      return Origin::kFileFailed;
  }
  return Origin::kFileFailed;
}

}  // namespace

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::kNone:
      return "none";
    case Origin::kHost:
      return "host";
    case Origin::kHostAndFile:
      return "host_and_local_file";
    case Origin::kFileFailed:
      return "local_file_failed";
    case Origin::kDenied:
      return "denied";
  }
  return "denied";
}

Publisher::Publisher(policy::Matching matching, LocalSource& local, Publish publish)
    : matching_(matching), local_(local), publish_(std::move(publish)) {
  policy::Snapshot none;
  none.matching = matching;
  current_ = std::make_shared<const policy::Snapshot>(std::move(none));
}

void Publisher::apply(const protocol::StatusDocument& document) {
  policy::Snapshot next = *current_;
  bool changed = false;
  for (const Service service : kServices) {
    Held held = effective(document, service);
    Held& known = held_[index_of(service)];
    if (held == known) {
      continue;
    }
    changed = true;
    if (!held.local_failure.empty() && held.local_failure != known.local_failure) {
      log::write(log::Level::kError,
                 fmt::format("rules of {}: the service is closed for its local rule file: {}", to_string(service),
                             held.local_failure),
                 {{"MSP_EVENT", "local_rules_bad"}, {"MSP_SERVICE", std::string(to_string(service))}});
    }
    auto& rules = next.rules[index_of(service)];
    rules = held.item ? policy::RuleSet::compile(*held.item, matching_) : nullptr;
    log_rules(service, rules);
    known = std::move(held);
  }
  if (changed) {
    publish(std::move(next));
  }
}

void Publisher::deny_all(const std::string& why) {
  policy::Snapshot next = *current_;
  for (const Service service : kServices) {
    Held& held = held_[index_of(service)];
    auto& rules = next.rules[index_of(service)];
    rules = policy::RuleSet::deny_all(held.item ? held.item->id : std::string(), why);
    held = {.item = std::nullopt, .local_failure = {}, .origin = Origin::kDenied};
    log_rules(service, rules);
  }
  publish(std::move(next));
}

ServiceReport Publisher::report(Service service) const {
  ServiceReport out;
  out.origin = held_[index_of(service)].origin;
  out.local_failure = held_[index_of(service)].local_failure;
  if (const auto& rules = current_->of(service)) {
    out.has_rules = true;
    out.id = rules->id();
    out.mode = rules->mode();
    out.default_allow = rules->default_allow();
    out.unusable = rules->unusable();
    out.notes = rules->notes().size();
  }
  return out;
}

EffectiveItems Publisher::items() const {
  EffectiveItems out;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    out[i] = held_[i].item;
  }
  return out;
}

Publisher::Held Publisher::effective(const protocol::StatusDocument& document, Service service) const {
  const RuleItem* const item = protocol::rule_item(document, service);
  if (item == nullptr) {
    return {};
  }
  if (service == Service::kHostGaPlugin) {
    return {.item = *item, .local_failure = {}, .origin = Origin::kHost};  // as the host wrote it, never local (I.1)
  }
  const IdDescriptor id = describe_id(item->id);
  LocalRules local;
  if (id.use_local_file_rules) {
    local = local_.load(service);
  }
  const Origin origin = origin_of(local);
  return {.item = merge(*item, id, local), .local_failure = std::move(local.failure), .origin = origin};
}

void Publisher::publish(policy::Snapshot next) {
  next.generation = current_->generation + 1;
  current_ = std::make_shared<const policy::Snapshot>(std::move(next));
  if (publish_) {
    publish_(current_);
  }
}

}  // namespace msp::rules
