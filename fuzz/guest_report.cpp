// SPDX-License-Identifier: Apache-2.0
// What guests report in a body: the XML of a health report, a status document, or one inside a status upload. Whatever
// is taken can be shown to operators as JSON, and is as short as its bounds say.
#include <string>

#include "base/json.h"
#include "base/utf8.h"
#include "fuzz/check.h"
#include "gateway/admin_view.h"

namespace {

using namespace msp;

void check_text(std::string_view text, std::size_t most) {
  FUZZ_CHECK(text.size() <= most);
  FUZZ_CHECK(utf8_repair(text) == text);
}

void check_shown(const content::GuestReports& reports) {
  const auto shown = json::parse(gateway::reports_json(reports.find("vm")));
  FUZZ_CHECK(shown);
  FUZZ_CHECK(shown->find("provisioning") != nullptr && shown->find("agent") != nullptr);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view body = fuzz::text(data, size).substr(1);
  content::GuestReports reports(1 << 20);
  if (data[0] == 'x') {
    const auto health = content::parse_health_report(body);
    if (!health) {
      return 0;
    }
    check_text(health->sub_status, content::kMostText);
    check_text(health->description, content::kMostText);
    check_text(health->container_id, content::kMostText);
    reports.health("vm", *health, body, 1);
  } else {
    auto status =
        data[0] == 'u' ? content::parse_status_upload(body) : content::parse_status_document(std::string(body));
    if (!status) {
      return 0;
    }
    check_text(status->state, 256);
    check_text(status->message, 256);
    const bool kept = !status->document.empty();
    reports.status("vm", std::move(*status), 1);
    if (!kept) {
      FUZZ_CHECK(reports.find("vm") == nullptr);
      return 0;
    }
  }
  check_shown(reports);
  return 0;
}
