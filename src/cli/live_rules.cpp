// SPDX-License-Identifier: Apache-2.0
#include "cli/live_rules.h"

#include <fmt/core.h>

#include <utility>

#include "base/json.h"
#include "base/rules_document.h"
#include "cli/policy_common.h"

namespace msp::cli {
namespace {

std::string text(const json::Value& from, std::string_view member) {
  const json::Value* const value = from.find(member);
  return value != nullptr && value->is_string() ? *value->string() : std::string();
}

Error no_rules(std::string what, std::string remedy) {
  return {.source = Source::kConfig, .message = std::move(what), .hint = std::move(remedy), .code = 0};
}

std::string origin_in_words(std::string_view origin, std::string_view failure) {
  return origin == "host"                  ? "from the host"
         : origin == "host_and_local_file" ? "from the host and a local rule file"
         : origin == "local_file_failed" ? fmt::format("closed for a local rule file that cannot be used: {}", failure)
                                         : "none";
}

Result<void> read_services(const json::Value& answer, LiveRules& out) {
  const json::Value* const list = answer.find("services");
  for (const json::Value& one : list != nullptr && list->array() != nullptr ? *list->array() : json::Array()) {
    const std::string name = text(one, "service");
    const std::string origin = text(one, "source");
    if (origin == "denied") {
      return no_rules(fmt::format("the agent denies everything of {}: {}", name, text(one, "unusable")),
                      "see mspctl status");
    }
    if (const auto service = parse_service(name)) {
      out.origin[static_cast<std::size_t>(*service)] = origin_in_words(origin, text(one, "localFailure"));
    }
  }
  return {};
}

}  // namespace

Result<LiveRules> live_rules(const AgentAddress& agent, std::string_view command) {
  auto body = ask_agent(agent, "/v1/rules", command);
  if (!body) {
    return std::move(body).error();
  }
  LiveRules out;
  auto read = authoring::read_rules(*body, "the agent's answer");
  const auto answer = json::parse(*body, rule_text_limits(Source::kConfig));
  const auto matching = answer ? parse_matching(text(*answer, "canonicalRequestMode")) : std::nullopt;
  if (!read || !matching || read->form != authoring::RuleForm::kDump) {
    return no_rules("the agent's answer cannot be read" + (read ? "" : ": " + read.error().message),
                    "use the mspctl of the agent's own version");
  }
  const json::Value* const in_force = answer->find("inForce");
  if (in_force == nullptr || in_force->boolean() == nullptr || !*in_force->boolean()) {
    return no_rules("there are no rules in force yet: the host has not said any to this agent",
                    "see mspctl status for what the host answers; --rules FILE explains by rules of a file");
  }
  if (auto done = read_services(*answer, out); !done) {
    return std::move(done).error();
  }
  out.source = *std::move(read);
  out.matching = *matching;
  const json::Value* const generation = answer->find("generation");
  out.generation = generation == nullptr ? 0 : generation->uint64().value_or(0);
  if (const std::string requests = text(*answer, "requests"); requests == "not_ready") {
    out.remarks.emplace_back(
        "no key is in use: requests are answered \"not ready\", whatever rules say (mspctl status)");
  } else if (requests == "unsigned") {
    out.remarks.emplace_back("the host has the secure channel disabled: requests are not sent through the agent");
  }
  out.text = *std::move(body);
  return out;
}

}  // namespace msp::cli
