// SPDX-License-Identifier: Apache-2.0
#include "gateway/sqlite.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/fd.h"
#include "base/file_error.h"

namespace msp::gateway {
namespace {

/// The file that it is about and the kernel's own word, where there is one: SQLite's texts have neither.
std::string more_of(sqlite3* database, int code) {
  if (database == nullptr) {
    return {};
  }
  const char* file = sqlite3_db_filename(database, "main");
  std::string out = file == nullptr || *file == '\0' ? std::string() : fmt::format(" [{}]", file);
  const int primary = code & 0xff;
  if (const int error = sqlite3_system_errno(database);
      error != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)) {
    out += fmt::format(" ({})", std::generic_category().message(error));
  }
  return out;
}

Error database_error(std::string_view what, sqlite3* database, int code) {
  const char* detail = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code);
  Error error{Source::kHost, fmt::format("{}: {}{}", what, detail, more_of(database, code)), {}, 0};
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      error.hint =
          "the file is damaged or no database: put back a backup, or move all of the state directory but the master "
          "key away and reset every key";
      error.code = kDamaged;
      break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      error.hint = "another process has the database open: one msp-host per state directory";
      error.code = EBUSY;
      break;
    case SQLITE_FULL:
      error.hint = "the disk is full: free some space; no key is issued or latched until then";
      break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      error.hint = "the state directory must be writable by the user that runs msp-host";
      break;
    case SQLITE_IOERR:
      error.hint = "the disk or its file system fails: look at 'dmesg'; no key is issued or latched until it is well";
      break;
    default:
      break;
  }
  return error;
}

// SQLite makes its files with the umask's permissions: the main file is made here, and WAL files copy its mode.
Result<void> ensure_private_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) {
    return file::file_error("opening the database", path);
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) {
    return file::file_error("looking at the database", path);
  }
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 077) != 0) {
    return config_error(fmt::format("database {} is not a private file of this user", path),
                        "it must be a regular file, owned by the user that runs msp-host, mode 0600");
  }
  return {};
}

Result<std::int64_t> read_number(Database& database, std::string_view pragma) {
  auto statement = database.prepare(pragma);
  if (!statement) {
    return statement.error();
  }
  auto row = statement->step();
  if (!row) {
    return row.error();
  }
  return *row ? statement->number(0) : 0;
}

Result<void> check_sound(Database& database) {
  // Not quick_check, which compares no index with its table: what ends a key finds it by an index, so a key that is
  // missing there would come back with the next start.
  auto statement = database.prepare("PRAGMA integrity_check(1)");
  if (!statement) {
    return statement.error();
  }
  auto row = statement->step();
  if (!row) {
    return row.error();
  }
  if (!*row || statement->text(0) != "ok") {
    return Error{Source::kHost,
                 fmt::format("the database is damaged: {}", *row ? statement->text(0) : std::string_view("no answer")),
                 "put back a backup, or move host.db* away: then each machine latches a new key", kDamaged};
  }
  return {};
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      bind_error_(other.bind_error_) {}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(int position, std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_, position, value);
  bind_error_ = bind_error_ != 0 ? bind_error_ : code;
  return *this;
}

Statement& Statement::bind_text(int position, std::string_view text) {
  const int code = sqlite3_bind_text64(statement_, position, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  bind_error_ = bind_error_ != 0 ? bind_error_ : code;
  return *this;
}

Statement& Statement::bind_blob(int position, std::string_view bytes) {
  const int code = sqlite3_bind_blob64(statement_, position, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
  bind_error_ = bind_error_ != 0 ? bind_error_ : code;
  return *this;
}

Result<bool> Statement::step() {
  if (bind_error_ != 0) {
    return database_error("bind a value", nullptr, bind_error_);
  }
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code == SQLITE_DONE) {
    return false;
  }
  return database_error("run a statement", database_, code);
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::text(int column) const {
  const auto* data = sqlite3_column_text(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string_view{} : std::string_view(reinterpret_cast<const char*>(data), size);
}

std::string_view Statement::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string_view{} : std::string_view(static_cast<const char*>(data), size);
}

void Database::Closer::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

Result<Database> Database::open(const std::string& path, std::int32_t application_id) {
  if (auto file = ensure_private_file(path); !file) {
    return file.error();
  }
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, nullptr);
  Database database(raw);
  if (code != SQLITE_OK) {
    return database_error("open database " + path, raw, code);
  }
  sqlite3_extended_result_codes(raw, 1);
  // Exclusive: what memory holds of the latched keys is true only as long as nobody else writes.
  auto settings = database.execute(
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"
      "PRAGMA trusted_schema=OFF; BEGIN EXCLUSIVE; COMMIT;");
  if (!settings) {
    return std::move(settings).error().context("database " + path);
  }
  if (auto sound = check_sound(database); !sound) {
    return std::move(sound).error().context("database " + path);
  }
  auto mark = read_number(database, "PRAGMA application_id");
  if (!mark) {
    return std::move(mark).error().context("database " + path);
  }
  auto tables = read_number(database, "SELECT count(*) FROM sqlite_schema");
  if (!tables) {
    return std::move(tables).error().context("database " + path);
  }
  if (*mark == 0 && *tables == 0) {
    if (auto set = database.execute(fmt::format("PRAGMA application_id={}", application_id).c_str()); !set) {
      return std::move(set).error().context("database " + path);
    }
  } else if (*mark != application_id) {
    return config_error(fmt::format("{} is a database of another program", path),
                        "point stateDirectory at a directory that is msp-host's alone");
  }
  return database;
}

Result<void> Database::execute(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return database_error("run a statement", database_.get(), code);
  }
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) {
    return database_error("prepare a statement", database_.get(), code);
  }
  return Statement(database_.get(), statement);
}

std::int64_t Database::changes() const { return sqlite3_changes64(database_.get()); }

OnlineBackup::OnlineBackup(OnlineBackup&& other) noexcept
    : from_(other.from_), copy_(std::move(other.copy_)), backup_(std::exchange(other.backup_, nullptr)) {}

OnlineBackup::~OnlineBackup() { sqlite3_backup_finish(backup_); }

Result<OnlineBackup> OnlineBackup::begin(Database& from) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<sqlite3, Database::Closer> copy(raw);
  if (code != SQLITE_OK) {
    return database_error("begin a backup", raw, code);
  }
  sqlite3_backup* backup = sqlite3_backup_init(raw, "main", from.database_.get(), "main");
  if (backup == nullptr) {
    return database_error("begin a backup", raw, sqlite3_errcode(raw));
  }
  return OnlineBackup(from.database_.get(), std::move(copy), backup);
}

Result<bool> OnlineBackup::step(int pages) {
  const int code = sqlite3_backup_step(backup_, pages);
  if (code == SQLITE_OK || code == SQLITE_DONE) {
    return code == SQLITE_DONE;
  }
  Error error = database_error("copy the database", nullptr, code);
  error.message += more_of(from_, code);  // the words of the copy are in the code alone
  return error;
}

Result<std::string> OnlineBackup::bytes() const {
  sqlite3_int64 size = 0;
  unsigned char* data = sqlite3_serialize(copy_.get(), "main", &size, 0);
  if (data == nullptr) {
    return database_error("write out the backup", nullptr, SQLITE_NOMEM);
  }
  std::string out(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  sqlite3_free(data);
  return out;
}

Result<Transaction> Transaction::begin(Database& database) {
  auto begun = database.execute("BEGIN IMMEDIATE");
  if (!begun) {
    return begun.error();
  }
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_ != nullptr) {
    // Nothing to do about a failed rollback: SQLite has rolled back by itself then.
    (void)database_->execute("ROLLBACK").ok();
  }
}

Result<void> Transaction::commit() {
  auto done = database_->execute("COMMIT");
  if (!done) {
    return done;
  }
  database_ = nullptr;
  return {};
}

}  // namespace msp::gateway
