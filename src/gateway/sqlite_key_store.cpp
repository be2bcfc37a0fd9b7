// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "gateway/key_store.h"
#include "gateway/sqlite.h"

namespace msp::gateway {
namespace {

constexpr std::int32_t kApplicationId = 0x4d535048;  // "MSPH"
constexpr std::int64_t kSchemaVersion = 1;

// state: 0 pending, 1 latched, 2 dead (kept without its secret, so that its guid is never taken for another key).
constexpr const char* kSchema =
    "CREATE TABLE vm(vm_id TEXT PRIMARY KEY, incarnation INTEGER NOT NULL) STRICT;"
    "CREATE TABLE vm_key(sequence INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT NOT NULL UNIQUE, vm_id TEXT NOT NULL,"
    " state INTEGER NOT NULL CHECK(state IN (0,1,2)), incarnation INTEGER NOT NULL, issued TEXT NOT NULL,"
    " sealed BLOB NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX one_latched ON vm_key(vm_id) WHERE state=1;"
    "CREATE INDEX by_vm ON vm_key(vm_id, state);"
    "CREATE TABLE note(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;"
    "PRAGMA user_version=1;";

Result<void> run(Statement& statement) {
  auto row = statement.step();
  if (!row) {
    return row.error();
  }
  return {};
}

class SqliteKeyStore final : public KeyStore {
 public:
  explicit SqliteKeyStore(Database database) : database_(std::move(database)) {}

  Result<void> prepare_schema();

  Result<std::vector<KeyRecord>> load() override;
  Result<IncarnationOutcome> enter_incarnation(std::string_view vm_id, std::uint32_t incarnation) override;
  Result<IssueOutcome> issue(const KeyRecord& key, std::size_t max_pending) override;
  Result<LatchOutcome> latch(std::string_view vm_id, std::string_view guid) override;
  Result<std::optional<std::string>> note(std::string_view name) override;
  Result<void> set_note(std::string_view name, std::string_view value) override;

 private:
  /// The guid of the latched key, or nothing.
  Result<std::optional<std::string>> latched_guid(std::string_view vm_id);
  Result<std::vector<std::string>> drop_oldest_pending(std::string_view vm_id, std::size_t keep);
  /// Runs `sql` with the given texts bound in order.
  Result<void> change(std::string_view sql, std::initializer_list<std::string_view> texts);

  Database database_;
};

Result<void> SqliteKeyStore::prepare_schema() {
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
  if (version != 0) {
    return config_error(fmt::format("the database has schema {}, this program knows {}", version, kSchemaVersion),
                        "run the version of msp-host that wrote it, or a newer one");
  }
  auto transaction = Transaction::begin(database_);
  if (!transaction) {
    return transaction.error();
  }
  if (auto made = database_.execute(kSchema); !made) {
    return made;
  }
  return transaction->commit();
}

Result<void> SqliteKeyStore::change(std::string_view sql, std::initializer_list<std::string_view> texts) {
  auto statement = database_.prepare(sql);
  if (!statement) {
    return statement.error();
  }
  int position = 0;
  for (const std::string_view text : texts) {
    statement->bind_text(++position, text);
  }
  return run(*statement);
}

Result<std::optional<std::string>> SqliteKeyStore::latched_guid(std::string_view vm_id) {
  auto statement = database_.prepare("SELECT guid FROM vm_key WHERE vm_id=? AND state=1");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, vm_id);
  auto row = statement->step();
  if (!row) {
    return row.error();
  }
  return *row ? std::optional<std::string>(statement->text(0)) : std::nullopt;
}

Result<std::vector<KeyRecord>> SqliteKeyStore::load() {
  auto statement = database_.prepare(
      "SELECT vm_id, guid, issued, incarnation, state, sealed FROM vm_key WHERE state IN (0,1) ORDER BY sequence");
  if (!statement) {
    return statement.error();
  }
  std::vector<KeyRecord> keys;
  for (;;) {
    auto row = statement->step();
    if (!row) {
      return row.error();
    }
    if (!*row) {
      return keys;
    }
    keys.push_back({.vm_id = std::string(statement->text(0)),
                    .guid = std::string(statement->text(1)),
                    .issued = std::string(statement->text(2)),
                    .incarnation = static_cast<std::uint32_t>(statement->number(3)),
                    .state = statement->number(4) == 1 ? KeyState::kLatched : KeyState::kPending,
                    .sealed = std::string(statement->blob(5))});
  }
}

Result<IncarnationOutcome> SqliteKeyStore::enter_incarnation(std::string_view vm_id, std::uint32_t incarnation) {
  auto transaction = Transaction::begin(database_);
  if (!transaction) {
    return transaction.error();
  }
  std::optional<std::int64_t> known;
  {
    auto statement = database_.prepare("SELECT incarnation FROM vm WHERE vm_id=?");
    if (!statement) {
      return statement.error();
    }
    statement->bind_text(1, vm_id);
    auto row = statement->step();
    if (!row) {
      return row.error();
    }
    if (*row) {
      known = statement->number(0);
    }
  }
  if (known && *known == incarnation) {
    return IncarnationOutcome::kSame;
  }
  if (known && *known > incarnation) {
    return IncarnationOutcome::kFell;
  }
  auto statement = database_.prepare(
      "INSERT INTO vm(vm_id, incarnation) VALUES(?,?) ON CONFLICT(vm_id) DO UPDATE SET "
      "incarnation=excluded.incarnation");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, vm_id).bind(2, incarnation);
  if (auto stored = run(*statement); !stored) {
    return stored.error();
  }
  if (auto dead = change("UPDATE vm_key SET state=2, sealed=x'' WHERE vm_id=? AND state<>2", {vm_id}); !dead) {
    return dead.error();
  }
  if (auto done = transaction->commit(); !done) {
    return done.error();
  }
  return known ? IncarnationOutcome::kRaised : IncarnationOutcome::kSame;
}

Result<std::vector<std::string>> SqliteKeyStore::drop_oldest_pending(std::string_view vm_id, std::size_t keep) {
  auto statement = database_.prepare(
      "UPDATE vm_key SET state=2, sealed=x'' WHERE sequence IN (SELECT sequence FROM vm_key WHERE vm_id=? AND state=0"
      " ORDER BY sequence DESC LIMIT -1 OFFSET ?) RETURNING guid");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, vm_id).bind(2, static_cast<std::int64_t>(keep));
  std::vector<std::string> dropped;
  for (;;) {
    auto row = statement->step();
    if (!row) {
      return row.error();
    }
    if (!*row) {
      return dropped;
    }
    dropped.emplace_back(statement->text(0));
  }
}

Result<IssueOutcome> SqliteKeyStore::issue(const KeyRecord& key, std::size_t max_pending) {
  auto transaction = Transaction::begin(database_);
  if (!transaction) {
    return transaction.error();
  }
  auto latched = latched_guid(key.vm_id);
  if (!latched) {
    return latched.error();
  }
  if (latched->has_value()) {
    return IssueOutcome{.latched_already = true, .dropped = {}};
  }
  auto statement =
      database_.prepare("INSERT INTO vm_key(guid, vm_id, state, incarnation, issued, sealed) VALUES(?,?,0,?,?,?)");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, key.guid).bind_text(2, key.vm_id).bind(3, key.incarnation).bind_text(4, key.issued);
  statement->bind_blob(5, key.sealed);
  if (auto stored = run(*statement); !stored) {
    return stored.error();
  }
  auto dropped = drop_oldest_pending(key.vm_id, max_pending);
  if (!dropped) {
    return dropped.error();
  }
  if (auto done = transaction->commit(); !done) {
    return done.error();
  }
  return IssueOutcome{.latched_already = false, .dropped = std::move(*dropped)};
}

Result<LatchOutcome> SqliteKeyStore::latch(std::string_view vm_id, std::string_view guid) {
  auto transaction = Transaction::begin(database_);
  if (!transaction) {
    return transaction.error();
  }
  auto latched = latched_guid(vm_id);
  if (!latched) {
    return latched.error();
  }
  if (latched->has_value()) {
    return **latched == guid ? LatchOutcome::kAlready : LatchOutcome::kOtherIsLatched;
  }
  if (auto made = change("UPDATE vm_key SET state=1 WHERE vm_id=? AND guid=? AND state=0", {vm_id, guid}); !made) {
    return made.error();
  }
  if (database_.changes() != 1) {
    return LatchOutcome::kUnknown;
  }
  if (auto dead = change("UPDATE vm_key SET state=2, sealed=x'' WHERE vm_id=? AND state=0", {vm_id}); !dead) {
    return dead.error();
  }
  if (auto done = transaction->commit(); !done) {
    return done.error();
  }
  return LatchOutcome::kLatched;
}

Result<std::optional<std::string>> SqliteKeyStore::note(std::string_view name) {
  auto statement = database_.prepare("SELECT value FROM note WHERE name=?");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, name);
  auto row = statement->step();
  if (!row) {
    return row.error();
  }
  return *row ? std::optional<std::string>(statement->blob(0)) : std::nullopt;
}

Result<void> SqliteKeyStore::set_note(std::string_view name, std::string_view value) {
  auto statement = database_.prepare(
      "INSERT INTO note(name, value) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, name).bind_blob(2, value);
  return run(*statement);
}

}  // namespace

Result<std::unique_ptr<KeyStore>> open_sqlite_key_store(const std::string& path) {
  auto database = Database::open(path, kApplicationId);
  if (!database) {
    return database.error();
  }
  auto store = std::make_unique<SqliteKeyStore>(std::move(*database));
  if (auto prepared = store->prepare_schema(); !prepared) {
    return std::move(prepared).error().context("database " + path);
  }
  return std::unique_ptr<KeyStore>(std::move(store));
}

}  // namespace msp::gateway
