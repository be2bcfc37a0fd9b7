// SPDX-License-Identifier: Apache-2.0
// The host's store in memory: as the interfaces say, but for what only a file has (backups, other databases).
// Fuzz targets only; one thread.
// Refuses what the one on disk refuses.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/model_store.h"

namespace msp::fuzz {

class MemoryStore final : public gateway::HostStore {
 public:
  using Records = std::vector<gateway::KeyRecord>;

  Result<Records> load() override { return keys_; }
  Result<Records> load(std::string_view vm_id) override {
    Records found;
    std::ranges::copy_if(keys_, std::back_inserter(found), [&](const auto& key) { return key.vm_id == vm_id; });
    return found;
  }
  Result<gateway::IncarnationOutcome> enter_incarnation(std::string_view vm_id, std::uint32_t incarnation) override {
    const auto [known, fresh] = incarnations_.try_emplace(std::string(vm_id), incarnation);
    if (fresh || known->second == incarnation) {
      return gateway::IncarnationOutcome::kSame;
    }
    if (known->second > incarnation) {
      return gateway::IncarnationOutcome::kFell;
    }
    known->second = incarnation;
    end_keys(vm_id);
    return gateway::IncarnationOutcome::kRaised;
  }
  Result<gateway::IssueOutcome> issue(const gateway::KeyRecord& key, std::size_t max_pending) override {
    gateway::IssueOutcome outcome;
    if (latched(key.vm_id) != nullptr) {
      outcome.latched_already = true;
      return outcome;
    }
    keys_.push_back(key);
    const auto of_it = [&](const auto& each) { return each.vm_id == key.vm_id; };
    while (static_cast<std::size_t>(std::ranges::count_if(keys_, of_it)) > max_pending) {
      const auto oldest = std::ranges::find_if(keys_, of_it);
      outcome.dropped.push_back(oldest->guid);
      end(oldest);
    }
    return outcome;
  }
  Result<gateway::LatchOutcome> latch(std::string_view vm_id, std::string_view guid) override {
    if (const auto* other = latched(vm_id)) {
      return other->guid == guid ? gateway::LatchOutcome::kAlready : gateway::LatchOutcome::kOtherIsLatched;
    }
    const auto found =
        std::ranges::find_if(keys_, [&](const auto& key) { return key.vm_id == vm_id && key.guid == guid; });
    if (found == keys_.end()) {
      return gateway::LatchOutcome::kUnknown;
    }
    found->state = gateway::KeyState::kLatched;
    const gateway::KeyRecord kept = *found;
    end_keys(vm_id);
    ended_.erase(kept.guid);
    keys_.push_back(kept);
    return gateway::LatchOutcome::kLatched;
  }
  Result<bool> has_ended(std::string_view vm_id, std::string_view guid) override {
    const auto found = ended_.find(std::string(guid));
    return found != ended_.end() && found->second == vm_id;
  }
  Result<std::optional<std::string>> signer(std::string_view vm_id, std::string_view guid) override {
    const auto* key = latched(vm_id);
    return key != nullptr && key->guid == guid ? std::optional(key->signer) : std::nullopt;
  }
  Result<Records> dead_signers(std::string_view /*vm_id*/) override { return Records(); }
  Result<void> set_signer(std::string_view /*guid*/, std::string_view /*sealed*/) override { return {}; }
  Result<std::optional<std::string>> note(std::string_view name) override {
    const auto found = notes_.find(std::string(name));
    return found == notes_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<void> set_note(std::string_view name, std::string_view value) override {
    notes_[std::string(name)] = value;
    return {};
  }

  Result<std::vector<gateway::StoredResource>> resources() override {
    std::vector<gateway::StoredResource> out;
    for (const auto& [name, resource] : resources_) {
      out.push_back(resource);
    }
    return out;
  }
  Result<void> change(const gateway::ModelChange& change) override {
    ++changes_;
    for (const auto& entered : change.entered) {
      const auto known = incarnations_.find(entered.vm_id);
      if (known != incarnations_.end() && known->second > entered.incarnation) {
        return config_error("an incarnation falls");
      }
    }
    for (const auto& name : change.removed) {
      resources_.erase(name);
    }
    for (const auto& resource : change.put) {
      resources_.insert_or_assign(resource.name, resource);
    }
    for (const auto& vm_id : change.forgotten) {
      end_keys(vm_id);
    }
    for (const auto& entered : change.entered) {
      (void)enter_incarnation(entered.vm_id, entered.incarnation);
    }
    for (const auto& move : change.moved) {
      if (moves_[move.vm_id] >= move.moves) {
        return config_error("it has moved before");
      }
      moves_[move.vm_id] = move.moves;
      if (move.key) {
        keys_.push_back(*move.key);
      }
    }
    return {};
  }
  Result<std::optional<std::uint32_t>> incarnation(std::string_view vm_id) override {
    const auto known = incarnations_.find(std::string(vm_id));
    return known == incarnations_.end() ? std::nullopt : std::optional(known->second);
  }
  Result<std::uint32_t> moves(std::string_view vm_id) override {
    const auto known = moves_.find(std::string(vm_id));
    return known == moves_.end() ? 0 : known->second;
  }

  Result<std::unique_ptr<gateway::StoreBackup>> begin_backup() override { return config_error("there is no file"); }
  Result<void> take_keys_of(const std::string& /*path*/) override { return config_error("there is no file"); }
  Result<void> end_all_keys() override { return config_error("there is no file"); }

  /// So often something was changed, or was to be.
  std::uint64_t changes() const { return changes_; }

 private:
  const gateway::KeyRecord* latched(std::string_view vm_id) const {
    const auto found = std::ranges::find_if(
        keys_, [&](const auto& key) { return key.vm_id == vm_id && key.state == gateway::KeyState::kLatched; });
    return found == keys_.end() ? nullptr : &*found;
  }
  void end(Records::iterator key) {
    ended_[key->guid] = key->vm_id;
    keys_.erase(key);
  }
  void end_keys(std::string_view vm_id) {
    for (auto key = keys_.begin(); key != keys_.end();) {
      if (key->vm_id == vm_id) {
        ended_[key->guid] = key->vm_id;
        key = keys_.erase(key);
      } else {
        ++key;
      }
    }
  }

  Records keys_;  // pending and latched, oldest first
  std::map<std::string, std::string> ended_;
  std::map<std::string, std::uint32_t> incarnations_;
  std::map<std::string, std::uint32_t> moves_;
  std::map<std::string, std::string> notes_;
  std::map<gateway::ResourceName, gateway::StoredResource> resources_;
  std::uint64_t changes_ = 0;
};

}  // namespace msp::fuzz
