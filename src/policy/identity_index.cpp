// SPDX-License-Identifier: Apache-2.0
#include "policy/identity_index.h"

#include "policy/ruleset.h"

namespace msp::policy {

/// Puts identities under their fields twice: first all, to count, then each under its rarest.
class IdentityIndex::Builder {
 public:
  explicit Builder(IdentityIndex& out) : out_(out) {}

  void count(const IdentityRule& rule) {
    each_field(
        rule, [&](Field field, std::string_view text) { ++counts_[field][std::string(text)]; },
        [&](std::size_t exe) { ++exe_counts_[exe]; });
  }

  void add(const IdentityRule& rule, std::uint32_t index) {
    std::vector<std::uint32_t>* best = &out_.others_;
    std::size_t fewest = static_cast<std::size_t>(-1);
    const auto offer = [&](std::size_t shared, auto& table, const auto& key) {
      if (shared < fewest) {
        fewest = shared;
        best = &table[key];
      }
    };
    each_field(
        rule,
        [&](Field field, std::string_view text) {
          std::string key(text);
          offer(counts_[field][key], out_.by_text_[field], key);
        },
        [&](std::size_t exe) { offer(exe_counts_[exe], out_.by_exe_, exe); });
    best->push_back(index);
  }

 private:
  template <class OnText, class OnExe>
  static void each_field(const IdentityRule& rule, OnText on_text, OnExe on_exe) {
    if (rule.user) {
      on_text(kUser, *rule.user);
    }
    if (rule.process) {
      on_text(kProcess, *rule.process);
    }
    if (rule.group) {
      on_text(kGroup, *rule.group);
    }
    if (rule.exe) {
      on_exe(component_hash(*rule.exe));
    }
    if (!rule.place) {
      return;
    }
    if (rule.place->unit) {
      on_text(kUnit, *rule.place->unit);
    }
    if (rule.place->container && rule.place->container->size() >= kContainerDigits) {
      on_text(kContainer, std::string_view(*rule.place->container).substr(0, kContainerDigits));
    }
    if (rule.place->cgroup) {
      on_text(kCgroup, *rule.place->cgroup);
    }
  }

  IdentityIndex& out_;
  std::array<std::unordered_map<std::string, std::size_t>, kFieldCount> counts_;
  std::unordered_map<std::size_t, std::size_t> exe_counts_;
};

IdentityIndex::IdentityIndex(std::span<const IdentityRule> identities) {
  Builder builder(*this);
  for (const IdentityRule& rule : identities) {
    builder.count(rule);
  }
  for (std::uint32_t i = 0; i < identities.size(); ++i) {
    builder.add(identities[i], i);
  }
}

std::span<const std::uint32_t> IdentityIndex::find(Field field, std::string_view text) const {
  const ByText& table = by_text_[field];
  if (table.empty()) {
    return {};
  }
  const auto found = table.find(text);
  return found == table.end() ? std::span<const std::uint32_t>() : found->second;
}

}  // namespace msp::policy
