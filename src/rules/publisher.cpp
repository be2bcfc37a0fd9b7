// SPDX-License-Identifier: Apache-2.0
#include "rules/publisher.h"

#include "base/log.h"

namespace msp::rules {
namespace {

constexpr std::array kServices = {Service::kImds, Service::kWireServer, Service::kHostGaPlugin};

std::size_t index_of(Service service) { return static_cast<std::size_t>(service); }

void log_rules(Service service, const std::shared_ptr<const policy::RuleSet>& rules) {
  if (!rules) {
    log::info("rules of {}: none", to_string(service));
    return;
  }
  if (!rules->unusable().empty()) {
    log::error("rules of {}: everything is denied: {}", to_string(service), log::escape(rules->unusable()));
    return;
  }
  log::info("rules of {}: \"{}\", mode {}, {} privileges, default {}", to_string(service), log::escape(rules->id()),
            to_string(rules->mode()), rules->privileges().size(), rules->default_allow() ? "allow" : "deny");
  for (const std::string& note : rules->notes()) {
    log::warn("rules of {}: {}", to_string(service), log::escape(note));
  }
}

}  // namespace

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
      log::error("rules of {}: the service is closed for its local rule file: {}", to_string(service),
                 log::escape(held.local_failure));
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
    held = {.item = std::nullopt, .local_failure = {}, .denied = true};
    log_rules(service, rules);
  }
  publish(std::move(next));
}

const RuleItem* Publisher::source(Service service) const {
  const Held& held = held_[index_of(service)];
  return held.item ? &*held.item : nullptr;
}

ServiceReport Publisher::report(Service service) const {
  ServiceReport out;
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

Publisher::Held Publisher::effective(const protocol::StatusDocument& document, Service service) const {
  const RuleItem* const item = protocol::rule_item(document, service);
  if (item == nullptr) {
    return {};
  }
  if (service == Service::kHostGaPlugin) {
    return {.item = *item, .local_failure = {}};  // as the host wrote it, never local (I.1)
  }
  const IdDescriptor id = describe_id(item->id);
  LocalRules local;
  if (id.use_local_file_rules) {
    local = local_.load(service);
  }
  return {.item = merge(*item, id, local), .local_failure = std::move(local.failure)};
}

void Publisher::publish(policy::Snapshot next) {
  next.generation = current_->generation + 1;
  current_ = std::make_shared<const policy::Snapshot>(std::move(next));
  if (publish_) {
    publish_(current_);
  }
}

}  // namespace msp::rules
