// SPDX-License-Identifier: Apache-2.0
#include "cli/status_view.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <string_view>

#include "base/log.h"

namespace msp::cli {
namespace {

constexpr std::size_t kMostRefusals = 10;

std::string text(const json::Value& from, std::string_view pointer) {
  const json::Value* value = from.at(pointer);
  return value != nullptr && value->is_string() ? log::escape(*value->string()) : std::string();
}

std::uint64_t number(const json::Value& from, std::string_view pointer) {
  const json::Value* value = from.at(pointer);
  return value == nullptr ? 0 : value->uint64().value_or(0);
}

bool yes(const json::Value& from, std::string_view pointer) {
  const json::Value* value = from.at(pointer);
  return value != nullptr && value->boolean() != nullptr && *value->boolean();
}

const json::Array& items(const json::Value& from, std::string_view pointer) {
  static const json::Array none;
  const json::Value* value = from.at(pointer);
  return value != nullptr && value->array() != nullptr ? *value->array() : none;
}

class View {
 public:
  template <class... A>
  void line(fmt::format_string<A...> format, A&&... arguments) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<A>(arguments)...);
    out_ += '\n';
  }
  void gap() { out_ += '\n'; }
  std::string take() && { return std::move(out_); }

 private:
  std::string out_;
};

std::string duration(std::uint64_t seconds) {
  if (seconds < 120) {
    return fmt::format("{} s", seconds);
  }
  return seconds < 7'200 ? fmt::format("{} min", seconds / 60)
                         : fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
}

void show_verdict(View& view, const json::Value& s) {
  view.line("msp-agent {}, pid {}, up {}", text(s, "/version"), number(s, "/pid"),
            duration(number(s, "/uptimeSeconds")));
  view.gap();
  if (yes(s, "/protected")) {
    view.line("PROTECTED: requests to the metadata services are identified, decided and signed.");
    return;
  }
  view.line("NOT FULLY PROTECTED");
  for (const json::Value& problem : items(s, "/problems")) {
    view.line("  ! {}", text(problem, "/what"));
    view.line("    -> {}", text(problem, "/remedy"));
  }
}

void show_interception(View& view, const json::Value& s) {
  view.gap();
  view.line("Kernel hooks     at {}, pinned in {}", text(s, "/interception/cgroup"),
            text(s, "/interception/pinDirectory"));
  for (const json::Value& hook : items(s, "/interception/hooks")) {
    view.line("  {:<14} {:<12} {:<10} program {}", text(hook, "/name"),
              yes(hook, "/attached") ? "attached" : "NOT ATTACHED", yes(hook, "/pinned") ? "pinned" : "NOT PINNED",
              number(hook, "/programId"));
  }
  view.line("Listener         {} {}", text(s, "/listener/address"),
            yes(s, "/listener/listening") ? "listening" : "NOT LISTENING");
}

std::string host_in_words(const json::Value& s) {
  if (yes(s, "/channel/hostAnswers")) {
    return yes(s, "/channel/longPoll") ? "answers, long poll: changes arrive at once"
                                       : "answers, no long poll: changes arrive with the next poll";
  }
  const std::uint64_t status = number(s, "/channel/hostStatus");
  const std::string code = text(s, "/channel/hostCode");
  if (status != 0) {
    return fmt::format("ANSWERS {}{} TO THE POLL", status, code.empty() ? "" : fmt::format(" ({})", code));
  }
  if (code == "status_uncheckable") {
    return fmt::format("NOT ASKED: ITS ANSWER CANNOT BE CHECKED ({})", code);
  }
  return code.empty() ? "DOES NOT ANSWER" : fmt::format("ANSWERS, AND IS NOT BELIEVED ({})", code);
}

void show_channel(View& view, const json::Value& s) {
  const std::string guid = text(s, "/channel/keyGuid");
  view.line("Channel          {}{}", text(s, "/channel/phase"),
            yes(s, "/channel/closed") ? ", CLOSED (requests are answered \"not ready\")" : "");
  view.line("  state          {}", text(s, "/channel/state"));
  if (guid.empty()) {
    view.line("  key            none");
  } else if (const auto incarnation = s.at("/channel/keyIncarnation"); incarnation && !incarnation->is_null()) {
    view.line("  key            {} (incarnation {})", guid, incarnation->uint64().value_or(0));
  } else {
    view.line("  key            {}", guid);
  }
  view.line("  host           {}", host_in_words(s));
  view.line("  its status     {}", yes(s, "/channel/signedStatus") ? "is signed; what is not is not believed"
                                                                   : "is not signed: whoever answers is believed");
  const auto offset = s.at("/channel/hostClockOffsetMilliseconds");
  if (const auto ms = offset ? offset->int64() : std::nullopt; ms) {
    view.line("  host's clock   {:+.1f} s", static_cast<double>(*ms) / 1000.0);
  }
  view.line("  message        {}", text(s, "/channel/message"));
}

void show_services(View& view, const json::Value& s) {
  view.line("Services");
  for (const json::Value& service : items(s, "/services")) {
    const std::string rules = text(service, "/ruleId");
    view.line("  {:<14} {:<22} {:<9} {:<15} {}", text(service, "/service"), text(service, "/endpoint"),
              text(service, "/mode"), yes(service, "/redirected") ? "redirected" : "not redirected",
              rules.empty() ? "no rules" : "rules " + rules);
  }
}

void show_counts(View& view, const json::Value& s, std::string_view pointer) {
  const json::Value* counts = s.at(pointer);
  const json::Object* object = counts == nullptr ? nullptr : counts->object();
  for (std::size_t i = 0; object != nullptr && i < object->members.size(); ++i) {
    const json::Member& member = object->members[i];
    view.line("  {:<22} {}", log::escape(member.name), member.value.uint64().value_or(0));
  }
}

void show_counters(View& view, const json::Value& s) {
  view.line("Requests         {} since start, {} connections open", number(s, "/counters/requests"),
            number(s, "/counters/connectionsOpen"));
  show_counts(view, s, "/counters/outcomes");
  view.line("Kernel");
  show_counts(view, s, "/counters/kernel");
  view.line("Audit            {} records written, {} lost", number(s, "/counters/audit/written"),
            number(s, "/counters/audit/lost"));
  show_counts(view, s, "/counters/audit/lostByReason");
}

std::string caller_of(const json::Value& refusal) {
  const std::string user = text(refusal, "/user");
  return refusal.find("uid") == nullptr ? std::string("unknown caller")
         : user.empty()                 ? fmt::format("uid {}", number(refusal, "/uid"))
                                        : fmt::format("{} (uid {})", user, number(refusal, "/uid"));
}

/// What was asked, and by which id it is found again: the client saw it in its answer, the logs have it.
void show_asked(View& view, const json::Value& r) {
  view.line("    {} {} to {} by {} {}", text(r, "/method"), text(r, "/target"), text(r, "/service"), caller_of(r),
            text(r, "/exe"));
  view.line("    request {}", text(r, "/requestId"));
}

void show_refusals(View& view, const json::Value& s) {
  const json::Array& refusals = items(s, "/lastRefusals");
  view.line("Last refusals{}", refusals.empty() ? "    none" : "");
  for (std::size_t i = 0; i < refusals.size() && i < kMostRefusals; ++i) {
    const json::Value& r = refusals[i];
    view.line("  {}  {} {}{}", text(r, "/time"), number(r, "/status"), text(r, "/reason"),
              yes(r, "/passedByAudit") ? " (passed: mode audit)" : "");
    show_asked(view, r);
  }
}

void show_host_refusals(View& view, const json::Value& s) {
  const json::Array& refusals = items(s, "/lastHostRefusals");
  const std::uint64_t count = number(s, "/counters/outcomes/host_refused");
  if (refusals.empty() && count == 0) {
    return;
  }
  view.line("REFUSED BY THE HOST, of what rules here let pass: {} since start", count);
  for (std::size_t i = 0; i < refusals.size() && i < kMostRefusals; ++i) {
    const json::Value& r = refusals[i];
    const std::string code = text(r, "/hostCode");
    const std::string id = text(r, "/hostRequestId");
    view.line("  {}  {} {}{}", text(r, "/time"), number(r, "/status"), code.empty() ? "without a code" : code,
              id.empty() ? "" : fmt::format(", request {} of the host", id));
    show_asked(view, r);
  }
}

}  // namespace

std::string status_view(const json::Value& status) {
  View view;
  show_verdict(view, status);
  show_interception(view, status);
  show_channel(view, status);
  show_services(view, status);
  show_counters(view, status);
  show_refusals(view, status);
  show_host_refusals(view, status);
  return std::move(view).take();
}

}  // namespace msp::cli
