// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <cstring>

namespace msp {

std::string_view to_string(Source source) {
  switch (source) {
    case Source::kClient:
      return "client";
    case Source::kUpstream:
      return "upstream";
    case Source::kHost:
      return "host";
    case Source::kKernel:
      return "kernel";
    case Source::kConfig:
      return "configuration";
    case Source::kBug:
      return "bug";
  }
  return "bug";
}

std::string Error::text() const {
  std::string out = message;
  if (code != 0) {
    out += ": ";
    out += ::strerrordesc_np(code) != nullptr ? ::strerrordesc_np(code) : "unknown error";
  }
  if (!hint.empty()) {
    out += " (";
    out += hint;
    out += ')';
  }
  return out;
}

Error&& Error::context(std::string_view outer) && {
  message.insert(0, ": ");
  message.insert(0, outer);
  return std::move(*this);
}

Error errno_error(std::string_view what, int code) {
  return Error{.source = Source::kKernel, .message = std::string(what), .hint = {}, .code = code};
}

Error config_error(std::string message, std::string hint) {
  return Error{.source = Source::kConfig, .message = std::move(message), .hint = std::move(hint), .code = 0};
}

Error bug(std::string message) {
  return Error{.source = Source::kBug, .message = std::move(message), .hint = "please report this", .code = 0};
}

}  // namespace msp
