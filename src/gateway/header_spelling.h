// SPDX-License-Identifier: Apache-2.0
// How names of headers are read behind this host: programs that get them as CGI variables (RFC 3875 4.1.18), and much
// that passes them on, know neither case nor '_' from '-' (attacks C10).
// Pure function; any thread; names are from a client.
#pragma once

#include <string>
#include <string_view>

#include "base/ascii.h"

namespace msp::gateway {

/// In lower case, with '-' for '_'.
inline std::string usual_spelling(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    c = c == '_' ? '-' : ascii_lower(c);
  }
  return out;
}

}  // namespace msp::gateway
