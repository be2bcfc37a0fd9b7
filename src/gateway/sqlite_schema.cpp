// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>

#include "gateway/sqlite_store.h"

namespace msp::gateway {
namespace {

// What makes each version of the schema from the one before it; never changed once released, only added to.
// 1, vm_key.state: 0 pending, 1 latched, 2 dead (kept without its secret, so that its guid is never taken for another
// key). 2, resource.kind: as ResourceKind. 3, vm.moves: how often it has moved between hosts.
// 4, vm_key.signer: what signs status answers, sealed; it stays when a latched key dies. 5, resource.kind: one more.
constexpr std::array kSteps = {
    "CREATE TABLE vm(vm_id TEXT PRIMARY KEY, incarnation INTEGER NOT NULL) STRICT;"
    "CREATE TABLE vm_key(sequence INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT NOT NULL UNIQUE, vm_id TEXT NOT NULL,"
    " state INTEGER NOT NULL CHECK(state IN (0,1,2)), incarnation INTEGER NOT NULL, issued TEXT NOT NULL,"
    " sealed BLOB NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX one_latched ON vm_key(vm_id) WHERE state=1;"
    "CREATE INDEX by_vm ON vm_key(vm_id, state);"
    "CREATE TABLE note(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;",
    "CREATE TABLE resource(kind INTEGER NOT NULL CHECK(kind IN (0,1,2)), key TEXT NOT NULL, text TEXT NOT NULL,"
    " addresses TEXT NOT NULL, PRIMARY KEY(kind, key)) STRICT, WITHOUT ROWID;",
    "ALTER TABLE vm ADD COLUMN moves INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE vm_key ADD COLUMN signer BLOB NOT NULL DEFAULT x'';",
    // Scale sets are a kind more.
    "ALTER TABLE resource RENAME TO old_resource;"
    "CREATE TABLE resource(kind INTEGER NOT NULL CHECK(kind IN (0,1,2,3)), key TEXT NOT NULL, text TEXT NOT NULL,"
    " addresses TEXT NOT NULL, PRIMARY KEY(kind, key)) STRICT, WITHOUT ROWID;"
    "INSERT INTO resource SELECT kind, key, text, addresses FROM old_resource;"
    "DROP TABLE old_resource;",
    "ALTER TABLE resource ADD COLUMN interfaces TEXT NOT NULL DEFAULT '';",
    "ALTER TABLE resource ADD COLUMN network TEXT NOT NULL DEFAULT '';",
};
constexpr auto kSchemaVersion = static_cast<std::int64_t>(kSteps.size());

}  // namespace

Result<void> SqliteStore::prepare_schema() {
  std::int64_t version = 0;
  {
    auto statement = database_.prepare("PRAGMA user_version");
    if (!statement) {
      return statement.error();
    }
    auto row = statement->step();
    if (!row) {
      return row.error();
    }
    version = statement->number(0);
  }
  if (version == kSchemaVersion) {
    return {};
  }
  if (version < 0 || version > kSchemaVersion) {
    return config_error(fmt::format("the database has schema {}, this program knows {}", version, kSchemaVersion),
                        "run the version of msp-host that wrote it, or a newer one");
  }
  auto transaction = Transaction::begin(database_);
  if (!transaction) {
    return transaction.error();
  }
  for (; version < kSchemaVersion; ++version) {
    if (auto made = database_.execute(kSteps[static_cast<std::size_t>(version)]); !made) {
      return made;
    }
  }
  if (auto marked = database_.execute(fmt::format("PRAGMA user_version={}", kSchemaVersion).c_str()); !marked) {
    return marked;
  }
  return transaction->commit();
}

Result<std::unique_ptr<HostStore>> open_sqlite_store(const std::string& path) {
  auto database = Database::open(path, kApplicationId);
  if (!database) {
    return database.error();
  }
  auto store = std::make_unique<SqliteStore>(std::move(*database));
  if (auto prepared = store->prepare_schema(); !prepared) {
    return std::move(prepared).error().context("database " + path);
  }
  return std::unique_ptr<HostStore>(std::move(store));
}

}  // namespace msp::gateway
