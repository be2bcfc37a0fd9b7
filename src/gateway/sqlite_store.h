// SPDX-License-Identifier: Apache-2.0
// The store in SQLite: schema, keys (sqlite_key_store.cpp) and models (sqlite_model_store.cpp) of one database.
// Made by open_sqlite_store(); loop's thread.
// Failures come back as host errors with SQLite's text; nothing has changed then.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/model_store.h"
#include "gateway/sqlite.h"

namespace msp::gateway {

/// Marks a database as ours, in its header: "MSPH".
inline constexpr std::int32_t kApplicationId = 0x4d535048;

class SqliteStore final : public HostStore {
 public:
  explicit SqliteStore(Database database) : database_(std::move(database)) {}

  /// Makes the tables, or brings those of an older version up to date.
  Result<void> prepare_schema();

  Result<std::vector<KeyRecord>> load() override;
  Result<std::vector<KeyRecord>> load(std::string_view vm_id) override;
  Result<IncarnationOutcome> enter_incarnation(std::string_view vm_id, std::uint32_t incarnation) override;
  Result<IssueOutcome> issue(const KeyRecord& key, std::size_t max_pending) override;
  Result<LatchOutcome> latch(std::string_view vm_id, std::string_view guid) override;
  Result<std::optional<std::string>> signer(std::string_view vm_id, std::string_view guid) override;
  Result<std::vector<KeyRecord>> dead_signers(std::string_view vm_id) override;
  Result<void> set_signer(std::string_view guid, std::string_view sealed) override;
  Result<bool> has_ended(std::string_view vm_id, std::string_view guid) override;
  Result<std::optional<std::string>> note(std::string_view name) override;
  Result<void> set_note(std::string_view name, std::string_view value) override;

  Result<std::vector<StoredResource>> resources() override;
  Result<void> change(const ModelChange& change) override;
  Result<std::optional<std::uint32_t>> incarnation(std::string_view vm_id) override;
  Result<std::uint32_t> moves(std::string_view vm_id) override;

  Result<std::unique_ptr<StoreBackup>> begin_backup() override;
  Result<void> take_keys_of(const std::string& path) override;
  Result<void> end_all_keys() override;

 private:
  /// The guid of the latched key, or nothing.
  Result<std::optional<std::string>> latched_guid(std::string_view vm_id);
  Result<std::vector<std::string>> drop_oldest_pending(std::string_view vm_id, std::size_t keep);
  Result<void> forget_oldest_ended(std::string_view vm_id);
  /// Inside a transaction of the caller.
  Result<IncarnationOutcome> enter(std::string_view vm_id, std::uint32_t incarnation);
  Result<void> end_keys(std::string_view vm_id);
  Result<void> move(const Move& move);
  static Result<void> take_in(Result<Statement>& statement, std::string_view vm_id, const KeyRecord& key);
  Result<void> put(const StoredResource& resource);
  Result<void> remove(const ResourceName& name);
  /// Runs `sql` with the given texts bound in order.
  Result<void> run(std::string_view sql, std::initializer_list<std::string_view> texts);
  static Result<void> run(Statement& statement);

  Database database_;
};

}  // namespace msp::gateway
