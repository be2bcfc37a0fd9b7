// SPDX-License-Identifier: Apache-2.0
// A SQLite database behind our own types: open with durable settings, run statements, transactions.
// Owned by the key store, used on the loop's thread only.
// Failures come back as host errors with SQLite's text; a file that is no sound database of ours is refused at open.
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_backup;
struct sqlite3_stmt;

namespace msp::gateway {

/// Error::code of a file that is damaged, or no database at all.
inline constexpr int kDamaged = EUCLEAN;

/// A prepared statement in use. Bind, step, read columns; reset by the destructor.
class Statement {
 public:
  Statement(sqlite3* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  /// Positions count from 1. The bytes are copied.
  Statement& bind(int position, std::int64_t value);
  Statement& bind_text(int position, std::string_view text);
  Statement& bind_blob(int position, std::string_view bytes);

  /// True: a row is there. False: done.
  Result<bool> step();

  /// Columns count from 0; views live until the next step.
  std::int64_t number(int column) const;
  std::string_view text(int column) const;
  std::string_view blob(int column) const;

 private:
  sqlite3* database_;
  sqlite3_stmt* statement_;
  int bind_error_ = 0;
};

class Database {
 public:
  /// Opens or creates `path` (mode 0600) exclusively: a second process is refused. WAL, every commit synced.
  /// `application_id` marks the file as ours; another program's database is refused, a damaged one as well.
  static Result<Database> open(const std::string& path, std::int32_t application_id);

  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  /// One or more statements without parameters and results.
  Result<void> execute(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  /// Rows changed by the last statement.
  std::int64_t changes() const;

 private:
  friend class OnlineBackup;
  struct Closer {
    void operator()(sqlite3* database) const;
  };
  explicit Database(sqlite3* database) : database_(database) {}
  std::unique_ptr<sqlite3, Closer> database_;
};

/// A copy of a database that goes on being used, taken in steps and in memory. What is written between two steps is in
/// it as well, so it is the database at the moment of the last step.
class OnlineBackup {
 public:
  /// `from` outlives it.
  static Result<OnlineBackup> begin(Database& from);
  OnlineBackup(OnlineBackup&& other) noexcept;
  OnlineBackup& operator=(OnlineBackup&&) = delete;
  OnlineBackup(const OnlineBackup&) = delete;
  OnlineBackup& operator=(const OnlineBackup&) = delete;
  ~OnlineBackup();

  /// Copies some pages. True: it is whole.
  Result<bool> step(int pages);
  /// The bytes of the file that it would be; once it is whole.
  Result<std::string> bytes() const;

 private:
  OnlineBackup(sqlite3* from, std::unique_ptr<sqlite3, Database::Closer> copy, sqlite3_backup* backup)
      : from_(from), copy_(std::move(copy)), backup_(backup) {}
  sqlite3* from_;
  std::unique_ptr<sqlite3, Database::Closer> copy_;
  sqlite3_backup* backup_;
};

/// BEGIN IMMEDIATE … COMMIT; rolled back by the destructor unless committed.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  Result<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace msp::gateway
