// SPDX-License-Identifier: Apache-2.0
// One question to a running msp-host that needs no file: asked, and its answer shown.
// Called by the verbs; single-threaded, blocks.
// Exit codes as host_socket.h says.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace msp::cli {

struct HostQuery {
  std::string_view command;
  std::string_view verb;
  std::string_view help;
  std::string_view method;
  std::string_view list;       ///< path of the kind
  std::string_view name = {};  ///< of what is named; empty: nothing is
  std::string_view name_help = "name, vmId or resource id";
  std::string_view suffix = {};
  std::string_view list_of_sets = {};  ///< path of the scale sets, where --scale-set may say that one is meant
  std::string (*view)(const json::Value& answer) = nullptr;  ///< null: shows the resource as it was given
};

int host_query(const HostQuery& query, const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
