// SPDX-License-Identifier: Apache-2.0
#include "gateway/source_addresses.h"

#include <fmt/format.h>

namespace msp::gateway {

std::string place_text(const Ipv4Address& address, std::string_view network) {
  return fmt::format("{}{}{}", address_text({.address = address, .port = 0}), network.empty() ? "" : " at ", network);
}

std::string_view why_no_source(const Ipv4Address& address) {
  constexpr Ipv4Address kImds{169, 254, 169, 254};
  constexpr Ipv4Address kWireServer{168, 63, 129, 16};
  constexpr std::uint8_t kFirstMulticast = 224;
  if (address[0] == 0) {
    return "no machine sends from a network 0";
  }
  if (address[0] >= kFirstMulticast) {
    return "it is one of many receivers, or of none: no machine sends from it";
  }
  return address == kImds || address == kWireServer ? "it is the metadata service's own" : "";
}

std::string join_addresses(const std::vector<Ipv4Address>& addresses) {
  std::string out;
  for (const Ipv4Address& address : addresses) {
    out += out.empty() ? "" : " ";
    out += address_text({.address = address, .port = 0});
  }
  return out;
}

Result<std::vector<Ipv4Address>> split_addresses(std::string_view text) {
  std::vector<Ipv4Address> addresses;
  while (!text.empty()) {
    const auto blank = text.find(' ');
    auto address = parse_address(text.substr(0, blank));
    if (!address) {
      return std::move(address).error();
    }
    addresses.push_back(*address);
    text = blank == std::string_view::npos ? std::string_view{} : text.substr(blank + 1);
  }
  return addresses;
}

std::string join_names(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    out += (out.empty() ? "" : " ") + name;
  }
  return out;
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const auto blank = text.find(' ');
    names.emplace_back(text.substr(0, blank));
    text = blank == std::string_view::npos ? std::string_view{} : text.substr(blank + 1);
  }
  return names;
}

}  // namespace msp::gateway
