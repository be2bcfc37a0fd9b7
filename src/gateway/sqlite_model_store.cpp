// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "gateway/sqlite_store.h"

namespace msp::gateway {

Result<std::vector<StoredResource>> SqliteStore::resources() {
  auto statement = database_.prepare("SELECT kind, key, text, addresses, interfaces FROM resource ORDER BY kind, key");
  if (!statement) {
    return statement.error();
  }
  std::vector<StoredResource> found;
  for (;;) {
    auto row = statement->step();
    if (!row) {
      return row.error();
    }
    if (!*row) {
      return found;
    }
    found.push_back(
        {.name = {.kind = static_cast<ResourceKind>(statement->number(0)), .key = std::string(statement->text(1))},
         .text = std::string(statement->text(2)),
         .addresses = std::string(statement->text(3)),
         .interfaces = std::string(statement->text(4))});
  }
}

Result<void> SqliteStore::change(const ModelChange& change) {
  auto transaction = Transaction::begin(database_);
  if (!transaction) {
    return transaction.error();
  }
  for (const ResourceName& name : change.removed) {
    if (auto removed = remove(name); !removed) {
      return removed;
    }
  }
  for (const StoredResource& resource : change.put) {
    if (auto stored = put(resource); !stored) {
      return stored;
    }
  }
  for (const std::string& vm_id : change.forgotten) {
    if (auto dead = end_keys(vm_id); !dead) {
      return dead;
    }
  }
  for (const EnteredIncarnation& entered : change.entered) {
    auto outcome = enter(entered.vm_id, entered.incarnation);
    if (!outcome) {
      return outcome.error();
    }
    if (*outcome == IncarnationOutcome::kFell) {
      return config_error(
          fmt::format("keyIncarnationId {} of {} is lower than before", entered.incarnation, entered.vm_id),
          "an old key could come back: give the highest value it ever had, or a higher one");
    }
  }
  return transaction->commit();
}

Result<void> SqliteStore::put(const StoredResource& resource) {
  auto statement = database_.prepare(
      "INSERT INTO resource(kind, key, text, addresses, interfaces) VALUES(?,?,?,?,?) ON CONFLICT(kind, key) DO UPDATE "
      "SET text=excluded.text, addresses=excluded.addresses, interfaces=excluded.interfaces");
  if (!statement) {
    return statement.error();
  }
  statement->bind(1, static_cast<std::int64_t>(resource.name.kind)).bind_text(2, resource.name.key);
  statement->bind_text(3, resource.text).bind_text(4, resource.addresses).bind_text(5, resource.interfaces);
  return run(*statement);
}

Result<void> SqliteStore::remove(const ResourceName& name) {
  auto statement = database_.prepare("DELETE FROM resource WHERE kind=? AND key=?");
  if (!statement) {
    return statement.error();
  }
  statement->bind(1, static_cast<std::int64_t>(name.kind)).bind_text(2, name.key);
  return run(*statement);
}

}  // namespace msp::gateway
