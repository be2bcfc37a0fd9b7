// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "gateway/sqlite_store.h"

namespace msp::gateway {

Result<std::vector<StoredResource>> SqliteStore::resources() {
  auto statement =
      database_.prepare("SELECT kind, key, text, addresses, interfaces, network FROM resource ORDER BY kind, key");
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
         .interfaces = std::string(statement->text(4)),
         .network = std::string(statement->text(5))});
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
  for (const Move& each : change.moved) {
    if (auto moved = move(each); !moved) {
      return moved;
    }
  }
  return transaction->commit();
}

Result<std::uint32_t> SqliteStore::moves(std::string_view vm_id) {
  auto statement = database_.prepare("SELECT moves FROM vm WHERE vm_id=?");
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, vm_id);
  auto row = statement->step();
  if (!row) {
    return row.error();
  }
  return *row ? static_cast<std::uint32_t>(statement->number(0)) : 0;
}

Result<void> SqliteStore::move(const Move& move) {
  auto counted = database_.prepare("UPDATE vm SET moves=? WHERE vm_id=? AND moves<?");
  if (!counted) {
    return counted.error();
  }
  counted->bind(1, move.moves).bind_text(2, move.vm_id).bind(3, move.moves);
  if (auto done = run(*counted); !done) {
    return done;
  }
  if (database_.changes() != 1) {
    return config_error(fmt::format("{} has moved {} times or more already", move.vm_id, move.moves),
                        "take what the last export of it wrote");
  }
  if (move.key) {
    // A key that went away from here may come back; one of another machine, or one that lives, may not.
    auto statement = database_.prepare(
        "INSERT INTO vm_key(guid, vm_id, state, incarnation, issued, sealed, signer) VALUES(?,?,1,?,?,?,?) ON "
        "CONFLICT(guid) DO UPDATE SET state=1, sealed=excluded.sealed, signer=excluded.signer WHERE "
        "vm_key.vm_id=excluded.vm_id AND vm_key.state=2");
    if (auto stored = take_in(statement, move.vm_id, *move.key); !stored) {
      return stored;
    }
    if (database_.changes() != 1) {
      return config_error(fmt::format("key {} is here already", move.key->guid), "find out whose it is");
    }
  }
  for (const KeyRecord& signer : move.signers) {
    auto statement = database_.prepare(
        "INSERT INTO vm_key(guid, vm_id, state, incarnation, issued, sealed, signer) VALUES(?,?,2,?,?,?,?) ON "
        "CONFLICT(guid) DO NOTHING");
    if (auto stored = take_in(statement, move.vm_id, signer); !stored) {
      return stored;
    }
  }
  return {};
}

Result<void> SqliteStore::take_in(Result<Statement>& statement, std::string_view vm_id, const KeyRecord& key) {
  if (!statement) {
    return statement.error();
  }
  statement->bind_text(1, key.guid).bind_text(2, vm_id).bind(3, key.incarnation).bind_text(4, key.issued);
  statement->bind_blob(5, key.sealed).bind_blob(6, key.signer);
  return run(*statement);
}

Result<void> SqliteStore::put(const StoredResource& resource) {
  auto statement = database_.prepare(
      "INSERT INTO resource(kind, key, text, addresses, interfaces, network) VALUES(?,?,?,?,?,?) ON CONFLICT(kind, "
      "key) "
      "DO UPDATE SET text=excluded.text, addresses=excluded.addresses, interfaces=excluded.interfaces, "
      "network=excluded.network");
  if (!statement) {
    return statement.error();
  }
  statement->bind(1, static_cast<std::int64_t>(resource.name.kind)).bind_text(2, resource.name.key);
  statement->bind_text(3, resource.text).bind_text(4, resource.addresses).bind_text(5, resource.interfaces);
  statement->bind_text(6, resource.network);
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
