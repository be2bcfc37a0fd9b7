// SPDX-License-Identifier: Apache-2.0
#include "agent/field_files.h"

#include <filesystem>
#include <utility>

#include "base/log.h"
#include "status/files.h"

namespace msp::agent {

void FieldFiles::tell(Result<void> done, bool& failed, std::string_view what) {
  if (const bool before = std::exchange(failed, !done); !done && !before) {
    log::write(std::move(done).error().context(what));
  }
}

void FieldFiles::status(const std::string& text) {
  writer_.post([this, text] {
    tell(status::write_status_file(status_file_, text), status_failed_, "the status file is not kept up to date");
  });
}

void FieldFiles::rules(const rules::EffectiveItems& items, const policy::Snapshot& rules, std::int64_t unix_ns) {
  if (wants_status()) {
    writer_.post([this, text = rules::dump_text(items, rules), unix_ns] {
      const std::string folder = std::filesystem::path(status_file_).parent_path();
      tell(rules::write_dump(folder, text, unix_ns), rules_failed_, "dump of the rules");
    });
  }
}

void FieldFiles::tags(const std::string& error_text, std::int64_t unix_ns) {
  writer_.post([this, error_text, unix_ns] {
    tell(status::write_provision_tags(key_directory_, error_text, unix_ns), tags_failed_,
         "provisioned.tag and status.tag");
  });
}

}  // namespace msp::agent
