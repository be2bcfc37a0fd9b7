// SPDX-License-Identifier: Apache-2.0
#include "request/normalized_headers.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "http/framing.h"
#include "request/percent.h"

namespace msp::request {
namespace {

constexpr std::array<std::string_view, 19> kListHeaders{"accept",
                                                        "accept-charset",
                                                        "accept-encoding",
                                                        "accept-language",
                                                        "allow",
                                                        "cache-control",
                                                        "content-encoding",
                                                        "content-language",
                                                        "forwarded",
                                                        "if-match",
                                                        "if-none-match",
                                                        "link",
                                                        "pragma",
                                                        "prefer",
                                                        "via",
                                                        "warning",
                                                        "x-forwarded-for",
                                                        "x-forwarded-host",
                                                        "x-forwarded-proto"};

char fold(char c) { return kByteClass.fold[static_cast<unsigned char>(c)]; }

std::string_view lower(std::string_view name, Arena& arena) {
  if (std::ranges::none_of(name, [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return name;
  }
  char* const to = arena.text(name.size());
  std::ranges::transform(name, to, fold);
  return {to, name.size()};
}

/// All values of that name, ", " between them; empty ones are no elements of a list and are left out.
std::string_view join(const http::HeaderList& headers, std::string_view name, Arena& arena) {
  std::size_t size = 0;
  for (const http::Header& header : headers) {
    size += http::iequals(header.name, name) ? header.value.size() + 2 : 0;
  }
  char* const to = arena.text(size);
  char* end = to;
  for (const http::Header& header : headers) {
    if (http::iequals(header.name, name) && !header.value.empty()) {
      end = std::ranges::copy(end == to ? std::string_view() : std::string_view(", "), end).out;
      end = std::ranges::copy(header.value, end).out;
    }
  }
  return {to, static_cast<std::size_t>(end - to)};
}

char dashed(char c) { return c == '_' ? '-' : c; }

/// Two names that what stands behind the host may read as one.
bool alike(std::string_view one, std::string_view other) {
  return one.size() == other.size() && std::ranges::equal(one, other, {}, dashed, dashed);
}

bool is_framing_header(std::string_view name) { return name == "transfer-encoding" || name == "trailer"; }

}  // namespace

bool is_trusted_header(std::string_view name) {
  return std::ranges::any_of(kTrustedPrefixes, [&](std::string_view prefix) {
    return name.size() > prefix.size() &&
           std::ranges::equal(name.substr(0, prefix.size()), prefix, {}, [](char c) { return dashed(fold(c)); });
  });
}

bool is_list_header(std::string_view name) { return std::ranges::find(kListHeaders, name) != kListHeaders.end(); }

const http::Header* NormalizedHeaders::find(std::string_view name) const {
  const auto items = list();
  const auto found = std::ranges::find(items, name, &http::Header::name);
  return found == items.end() ? nullptr : &*found;
}

void NormalizedHeaders::set(std::string_view name, std::string_view value) {
  const auto items = items_.first(size_);
  const auto found = std::ranges::find(items, name, &http::Header::name);
  if (found != items.end()) {
    found->value = value;
    return;
  }
  assert(size_ < items_.size());
  items_[size_++] = {.name = name, .value = value};
}

void NormalizedHeaders::remove(std::string_view name) {
  const auto items = items_.first(size_);
  size_ -= std::ranges::remove(items, name, &http::Header::name).size();
}

Fault NormalizedHeaders::add(std::string_view name, std::string_view value) {
  if (find(name) == nullptr) {
    underscored_ = underscored_ || name.contains('_');
    if (underscored_ && std::ranges::any_of(list(), [&](const auto& item) { return alike(item.name, name); })) {
      return Fault::kHeaderRepeated;
    }
    items_[size_++] = {.name = name, .value = value};
    return Fault::kNone;
  }
  joined_ = true;
  return is_list_header(name) ? Fault::kNone : Fault::kHeaderRepeated;
}

Fault normalize_headers(const http::RequestHead& head, Arena& arena, NormalizedHeaders& out) {
  if (!http::connection_options(head.headers).foreign.empty()) {
    return Fault::kConnectionNamesHeader;
  }
  if (http::expectation(head) == http::Expectation::kUnknown) {
    return Fault::kExpectationFailed;
  }
  out.items_ = arena.array<http::Header>(head.headers.size() + NormalizedHeaders::kRoom);
  out.size_ = 0;
  out.stripped_ = 0;
  out.joined_ = false;
  out.underscored_ = false;
  for (const http::Header& header : head.headers) {
    if (is_trusted_header(header.name)) {
      ++out.stripped_;
      continue;
    }
    const std::string_view name = lower(header.name, arena);
    if (http::is_connection_header(name) || is_framing_header(name)) {
      continue;
    }
    if (!http::is_signable_value(header.value)) {
      return Fault::kHeaderUnsignable;
    }
    if (const Fault fault = out.add(name, header.value); fault != Fault::kNone) {
      return fault;
    }
  }
  for (http::Header& header : out.items_.first(out.joined_ ? out.size_ : 0)) {
    if (is_list_header(header.name)) {
      header.value = join(head.headers, header.name, arena);
    }
  }
  return Fault::kNone;
}

}  // namespace msp::request
