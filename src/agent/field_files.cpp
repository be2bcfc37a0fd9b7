// SPDX-License-Identifier: Apache-2.0
#include "agent/field_files.h"

#include <filesystem>
#include <utility>

#include "base/log.h"
#include "status/files.h"

namespace msp::agent {

bool FieldFiles::tell(Result<void> done, bool& failed, std::string_view what) {
  if (const bool before = std::exchange(failed, !done); !done && !before) {
    log::write(std::move(done).error().context(what));
  }
  return !failed;
}

void FieldFiles::status(const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.status = text;
  }
  write_soon();
}

void FieldFiles::rules(const rules::EffectiveItems& items, const policy::Snapshot& rules, std::int64_t unix_ns) {
  if (!wants_status()) {
    return;
  }
  Stamped dump{.text = rules::dump_text(items, rules), .unix_ns = unix_ns};
  {
    const std::lock_guard lock(mutex_);
    waiting_.dumps.push_back(std::move(dump));
    if (waiting_.dumps.size() > rules::kMostDumps) {
      waiting_.dumps.pop_front();
      ++waiting_.dumps_left_out;
    }
  }
  write_soon();
}

void FieldFiles::tags(const std::string& error_text, std::int64_t unix_ns) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.tags = Stamped{.text = error_text, .unix_ns = unix_ns};
  }
  write_soon();
}

void FieldFiles::write_soon() {
  // Where it is refused, one waits already.
  writer_.post([this] { write(); });
}

void FieldFiles::write() {
  Waiting now;
  {
    const std::lock_guard lock(mutex_);
    now = std::exchange(waiting_, {});
  }
  write_dumps(now);
  if (now.tags && !tell(status::write_provision_tags(key_directory_, now.tags->text, now.tags->unix_ns), tags_failed_,
                        "provisioned.tag and status.tag")) {
    const std::lock_guard lock(mutex_);
    if (!waiting_.tags) {
      waiting_.tags = std::move(now.tags);
    }
  }
  if (now.status) {
    tell(status::write_status_file(status_file_, *now.status), status_failed_,
         "the status file is not kept up to date");
  }
}

void FieldFiles::write_dumps(const Waiting& from) {
  const std::string folder = std::filesystem::path(status_file_).parent_path();
  bool written = true;
  for (const Stamped& dump : from.dumps) {
    written = tell(rules::write_dump(folder, dump.text, dump.unix_ns), rules_failed_, "dump of the rules");
  }
  if (from.dumps_left_out != 0) {
    log::warn("{} dumps of rules are left out: the disk stood still; the last {} stay", from.dumps_left_out,
              from.dumps.size());
  }
  if (!written) {
    const std::lock_guard lock(mutex_);
    if (waiting_.dumps.empty()) {
      waiting_.dumps.push_back(from.dumps.back());
    }
  }
}

}  // namespace msp::agent
