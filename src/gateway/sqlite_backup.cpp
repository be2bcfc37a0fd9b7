// SPDX-License-Identifier: Apache-2.0
#include "gateway/sqlite_store.h"

namespace msp::gateway {
namespace {

constexpr int kPagesPerStep = 256;  // 1 MiB: well below a millisecond

class SqliteBackup final : public StoreBackup {
 public:
  explicit SqliteBackup(OnlineBackup backup) : backup_(std::move(backup)) {}
  Result<bool> step() override { return backup_.step(kPagesPerStep); }
  Result<std::string> bytes() override { return backup_.bytes(); }

 private:
  OnlineBackup backup_;
};

// A guid of the later store is what that store says. One that only the backup has is of another history: nobody may use
// it. Where the backup's incarnation is the higher one, what the later store has is of an older one.
constexpr const char* kTakeKeys =
    "DELETE FROM main.vm_key WHERE guid IN (SELECT guid FROM later.vm_key);"
    "UPDATE main.vm_key SET signer=CASE state WHEN 0 THEN x'' ELSE signer END, state=2, sealed=x'';"
    "INSERT INTO main.vm_key(guid, vm_id, state, incarnation, issued, sealed, signer)"
    " SELECT guid, vm_id, state, incarnation, issued, sealed, signer FROM later.vm_key ORDER BY sequence;"
    "UPDATE main.vm_key SET signer=CASE state WHEN 0 THEN x'' ELSE signer END, state=2, sealed=x'' WHERE state<>2 AND"
    " EXISTS(SELECT 1 FROM main.vm b JOIN later.vm l"
    " ON b.vm_id=l.vm_id WHERE b.vm_id=main.vm_key.vm_id AND l.incarnation<b.incarnation);"
    "INSERT INTO main.vm(vm_id, incarnation, moves) SELECT vm_id, incarnation, moves FROM later.vm WHERE true"
    " ON CONFLICT(vm_id) DO UPDATE SET incarnation=max(incarnation, excluded.incarnation),"
    " moves=max(moves, excluded.moves);";

}  // namespace

Result<std::unique_ptr<StoreBackup>> SqliteStore::begin_backup() {
  auto backup = OnlineBackup::begin(database_);
  if (!backup) {
    return backup.error();
  }
  return std::unique_ptr<StoreBackup>(std::make_unique<SqliteBackup>(std::move(*backup)));
}

Result<void> SqliteStore::take_keys_of(const std::string& path) {
  if (auto attached = run("ATTACH DATABASE ? AS later", {path}); !attached) {
    return attached;
  }
  const auto take = [&]() -> Result<void> {
    auto transaction = Transaction::begin(database_);
    if (!transaction) {
      return transaction.error();
    }
    if (auto taken = database_.execute(kTakeKeys); !taken) {
      return taken;
    }
    return transaction->commit();
  };
  auto taken = take();
  const auto detached = database_.execute("DETACH DATABASE later");
  return taken ? detached : taken;
}

Result<void> SqliteStore::end_all_keys() {
  return database_.execute(
      "UPDATE vm_key SET signer=CASE state WHEN 0 THEN x'' ELSE signer END, state=2, sealed=x'' WHERE state<>2");
}

}  // namespace msp::gateway
