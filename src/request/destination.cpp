// SPDX-License-Identifier: Apache-2.0
#include "request/destination.h"

#include <algorithm>
#include <charconv>

#include "http/head.h"
#include "request/percent.h"

namespace msp::request {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// A decimal number up to 65535; leading zeros are allowed.
std::optional<std::uint16_t> parse_port(std::string_view digits) {
  std::uint32_t value = 0;
  for (const char c : digits) {
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
    if (!is_digit(c) || value > 65535) {
      return std::nullopt;
    }
  }
  return digits.empty() ? std::nullopt : std::optional(static_cast<std::uint16_t>(value));
}

/// One part of an inet_aton address: 0x is hex (up to 8 digits), a leading 0 octal, else decimal.
std::optional<std::uint32_t> parse_part(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
    if (text.size() > 8) {
      return std::nullopt;
    }
  } else if (text.size() > 1 && text[0] == '0') {
    text.remove_prefix(1);
    base = 8;
  }
  std::uint32_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return text.empty() || failure != std::errc{} || end != text.data() + text.size() ? std::nullopt
                                                                                    : std::optional(value);
}

/// 1 to 4 parts in inet_aton layout; the last one fills the bytes that are left.
bool parse_numeric(std::string_view text, std::array<std::uint8_t, 16>& out) {
  std::uint32_t address = 0;
  for (unsigned part = 0; part < 4; ++part) {
    const std::size_t dot = text.find('.');
    const bool last = dot == std::string_view::npos;
    const std::optional<std::uint32_t> number = parse_part(text.substr(0, dot));
    const std::uint32_t limit = last ? 0xFFFFFFFFu >> (8 * part) : 0xFFu;
    if (!number || *number > limit) {
      return false;
    }
    address |= last ? *number : *number << (24 - 8 * part);
    if (last) {
      for (unsigned byte = 0; byte < 4; ++byte) {
        out[byte] = static_cast<std::uint8_t>(address >> (24 - 8 * byte));
      }
      return true;
    }
    text.remove_prefix(dot + 1);
  }
  return false;
}

Fault parse_ipv6(std::string_view text, Destination& out) {
  std::array<std::uint8_t, 16> address{};
  if (!parse_ipv6_address(text, address)) {
    return Fault::kCanonHost;
  }
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::equal(kMapped.begin(), kMapped.end(), address.begin())) {
    out.family = HostFamily::kIpv4;
    std::copy(address.begin() + 12, address.end(), out.address.begin());
  } else {
    out.family = HostFamily::kIpv6;
    out.address = address;
  }
  return Fault::kNone;
}

Fault parse_host(std::string_view host, Destination& out) {
  if (host.starts_with('[')) {
    return host.size() > 2 && host.ends_with(']') ? parse_ipv6(host.substr(1, host.size() - 2), out)
                                                  : Fault::kCanonHost;
  }
  while (host.ends_with('.')) {
    host.remove_suffix(1);
  }
  if (host.empty()) {
    return Fault::kCanonHost;
  }
  const bool numeric = std::ranges::all_of(host, [](char c) {
    return c == '.' || c == 'x' || c == 'X' || kByteClass.hex[static_cast<unsigned char>(c)] >= 0;
  });
  if (numeric) {
    out.family = HostFamily::kIpv4;
    return parse_numeric(host, out.address) ? Fault::kNone : Fault::kCanonHost;
  }
  const bool name = std::ranges::all_of(host, [](char c) { return is_alnum(c) || c == '-' || c == '.'; }) &&
                    std::ranges::any_of(host, is_alnum);
  out.family = HostFamily::kName;
  return name ? Fault::kNone : Fault::kCanonHost;
}

std::optional<Service> service_of(const Destination& destination) {
  if (destination.family != HostFamily::kIpv4) {
    return std::nullopt;
  }
  Ipv4Endpoint endpoint{.address = {}, .port = destination.port};
  std::copy_n(destination.address.begin(), 4, endpoint.address.begin());
  if (endpoint == kImdsEndpoint) {
    return Service::kImds;
  }
  if (endpoint == kWireServerEndpoint) {
    return Service::kWireServer;
  }
  return endpoint == kHostGaPluginEndpoint ? std::optional(Service::kHostGaPlugin) : std::nullopt;
}

}  // namespace

Fault classify_authority(std::string_view authority, Destination& out) {
  out = Destination{};
  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  const std::size_t colon = bracket == std::string_view::npos ? bracket : authority.find(':', bracket);
  out.host = authority.substr(0, colon);
  out.port = 80;
  if (colon != std::string_view::npos) {
    const std::optional<std::uint16_t> port = parse_port(authority.substr(colon + 1));
    if (!port) {
      return Fault::kCanonPort;
    }
    out.port = *port;
  }
  const Fault fault = parse_host(out.host, out);
  out.service = service_of(out);
  return fault;
}

bool host_fits(std::string_view host, const Ipv4Endpoint& destination, std::span<const std::string> names) {
  std::array<char, 24> text;
  char* to = text.data();
  char* const end = to + text.size();
  for (const std::uint8_t byte : destination.address) {
    to = std::to_chars(to, end, byte).ptr;
    *to++ = '.';
  }
  const std::string_view address(text.data(), static_cast<std::size_t>(to - 1 - text.data()));
  if (const std::size_t colon = host.rfind(':'); colon != std::string_view::npos) {
    char* const port = to;
    to = std::to_chars(to, end, destination.port).ptr;
    if (host.substr(colon + 1) != std::string_view(port, static_cast<std::size_t>(to - port))) {
      return false;
    }
    host = host.substr(0, colon);
  }
  return host == address ||
         std::ranges::any_of(names, [&](const std::string& name) { return http::iequals(host, name); });
}

}  // namespace msp::request
