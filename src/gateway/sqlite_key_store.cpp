// SPDX-License-Identifier: Apache-2.0
#include "gateway/sqlite_store.h"

namespace msp::gateway {
namespace {

Result<std::vector<KeyRecord>> read_keys(Statement& statement) {
  std::vector<KeyRecord> keys;
  for (;;) {
    auto row = statement.step();
    if (!row) {
      return row.error();
    }
    if (!*row) {
      return keys;
    }
    keys.push_back({.vm_id = std::string(statement.text(0)),
                    .guid = std::string(statement.text(1)),
                    .issued = std::string(statement.text(2)),
                    .incarnation = static_cast<std::uint32_t>(statement.number(3)),
                    .state = statement.number(4) == 1 ? KeyState::kLatched : KeyState::kPending,
                    .sealed = std::string(statement.blob(5)),
                    .signer = std::string(statement.blob(6))});
  }
}

}  // namespace

Result<void> SqliteStore::run(Statement& statement) {
  auto row = statement.step();
  if (!row) {
    return row.error();
  }
  return {};
}

Result<void> SqliteStore::run(std::string_view sql, std::initializer_list<std::string_view> texts) {
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

Result<std::optional<std::string>> SqliteStore::latched_guid(std::string_view vm_id) {
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

Result<std::vector<KeyRecord>> SqliteStore::load() {
  auto statement = database_.prepare(
      "SELECT vm_id, guid, issued, incarnation, state, sealed, signer FROM vm_key WHERE state IN (0,1) ORDER BY "
      "sequence");
  if (!statement) {
    return statement.error();
  }
  return read_keys(*statement);
}

Result<std::vector<KeyRecord>> SqliteStore::load(std::string_view vm_id) {
  auto statement = database_.prepare(
      "SELECT vm_id, guid, issued, incarnation, state, sealed, signer FROM vm_key WHERE vm_id=? AND state IN (0,1)"
      " ORDER BY sequence");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, vm_id);
  return read_keys(*statement);
}

Result<IncarnationOutcome> SqliteStore::enter_incarnation(std::string_view vm_id, std::uint32_t incarnation) {
  auto transaction = Transaction::begin(database_);
  if (!transaction) {
    return transaction.error();
  }
  auto outcome = enter(vm_id, incarnation);
  if (!outcome) {
    return outcome;
  }
  if (auto done = transaction->commit(); !done) {
    return done.error();
  }
  return outcome;
}

Result<IncarnationOutcome> SqliteStore::enter(std::string_view vm_id, std::uint32_t incarnation) {
  const auto known = this->incarnation(vm_id);
  if (!known) {
    return known.error();
  }
  if (known->has_value() && **known == incarnation) {
    return IncarnationOutcome::kSame;
  }
  if (known->has_value() && **known > incarnation) {
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
  if (auto dead = end_keys(vm_id); !dead) {
    return dead.error();
  }
  return known->has_value() ? IncarnationOutcome::kRaised : IncarnationOutcome::kSame;
}

Result<void> SqliteStore::end_keys(std::string_view vm_id) {
  return run(
      "UPDATE vm_key SET signer=CASE state WHEN 1 THEN signer ELSE x'' END, state=2, sealed=x'' WHERE vm_id=? AND "
      "state<>2",
      {vm_id});
}

Result<std::optional<std::uint32_t>> SqliteStore::incarnation(std::string_view vm_id) {
  auto statement = database_.prepare("SELECT incarnation FROM vm WHERE vm_id=?");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, vm_id);
  auto row = statement->step();
  if (!row) {
    return row.error();
  }
  return *row ? std::optional(static_cast<std::uint32_t>(statement->number(0))) : std::nullopt;
}

Result<std::vector<std::string>> SqliteStore::drop_oldest_pending(std::string_view vm_id, std::size_t keep) {
  auto statement = database_.prepare(
      "UPDATE vm_key SET state=2, sealed=x'', signer=x'' WHERE sequence IN (SELECT sequence FROM vm_key WHERE vm_id=? "
      "AND state=0"
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

Result<void> SqliteStore::forget_oldest_ended(std::string_view vm_id) {
  auto statement = database_.prepare(
      "DELETE FROM vm_key WHERE sequence IN (SELECT sequence FROM vm_key WHERE vm_id=? AND state=2 AND signer=x''"
      " ORDER BY sequence DESC LIMIT -1 OFFSET ?)");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, vm_id).bind(2, static_cast<std::int64_t>(kEndedKept));
  return run(*statement);
}

Result<IssueOutcome> SqliteStore::issue(const KeyRecord& key, std::size_t max_pending) {
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
  auto statement = database_.prepare(
      "INSERT INTO vm_key(guid, vm_id, state, incarnation, issued, sealed, signer) VALUES(?,?,0,?,?,?,?)");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, key.guid).bind_text(2, key.vm_id).bind(3, key.incarnation).bind_text(4, key.issued);
  statement->bind_blob(5, key.sealed).bind_blob(6, key.signer);
  if (auto stored = run(*statement); !stored) {
    return stored.error();
  }
  auto dropped = drop_oldest_pending(key.vm_id, max_pending);
  if (!dropped) {
    return dropped.error();
  }
  if (auto forgotten = forget_oldest_ended(key.vm_id); !forgotten) {
    return forgotten.error();
  }
  if (auto done = transaction->commit(); !done) {
    return done.error();
  }
  return IssueOutcome{.latched_already = false, .dropped = std::move(*dropped)};
}

Result<LatchOutcome> SqliteStore::latch(std::string_view vm_id, std::string_view guid) {
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
  if (auto made = run("UPDATE vm_key SET state=1 WHERE vm_id=? AND guid=? AND state=0", {vm_id, guid}); !made) {
    return made.error();
  }
  if (database_.changes() != 1) {
    return LatchOutcome::kUnknown;
  }
  if (auto dead = run("UPDATE vm_key SET state=2, sealed=x'', signer=x'' WHERE vm_id=? AND state=0", {vm_id}); !dead) {
    return dead.error();
  }
  if (auto done = transaction->commit(); !done) {
    return done.error();
  }
  return LatchOutcome::kLatched;
}

Result<std::optional<std::string>> SqliteStore::signer(std::string_view vm_id, std::string_view guid) {
  auto statement =
      database_.prepare("SELECT signer FROM vm_key WHERE vm_id=? AND guid=? AND state IN (1,2) AND signer<>x''");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, vm_id).bind_text(2, guid);
  auto row = statement->step();
  if (!row) {
    return row.error();
  }
  return *row ? std::optional<std::string>(statement->blob(0)) : std::nullopt;
}

Result<std::vector<KeyRecord>> SqliteStore::dead_signers(std::string_view vm_id) {
  auto statement = database_.prepare(
      "SELECT vm_id, guid, issued, incarnation, state, sealed, signer FROM vm_key WHERE vm_id=? AND state=2 AND "
      "signer<>x'' ORDER BY sequence");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, vm_id);
  return read_keys(*statement);
}

Result<void> SqliteStore::set_signer(std::string_view guid, std::string_view sealed) {
  auto statement = database_.prepare("UPDATE vm_key SET signer=? WHERE guid=?");
  if (!statement) {
    return statement.error();
  }
  statement->bind_blob(1, sealed).bind_text(2, guid);
  return run(*statement);
}

Result<bool> SqliteStore::has_ended(std::string_view vm_id, std::string_view guid) {
  auto statement = database_.prepare("SELECT 1 FROM vm_key WHERE guid=? AND vm_id=? AND state=2");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, guid).bind_text(2, vm_id);
  return statement->step();
}

Result<std::optional<std::string>> SqliteStore::note(std::string_view name) {
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

Result<void> SqliteStore::set_note(std::string_view name, std::string_view value) {
  auto statement = database_.prepare(
      "INSERT INTO note(name, value) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, name).bind_blob(2, value);
  return run(*statement);
}

}  // namespace msp::gateway
