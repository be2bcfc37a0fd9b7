// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_forms.h"

#include <algorithm>
#include <map>

#include "policy/fold.h"
#include "policy/rule_query.h"
#include "request/arena.h"
#include "request/canonical_path.h"
#include "request/canonical_query.h"

namespace msp::authoring {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

std::string joined(const QueryPairs& pairs) {
  std::string out;
  for (const auto& [key, value] : pairs) {
    out += out.empty() ? "" : "&";
    out += key;
    out += '=';
    out += value;
  }
  return out;
}

void add_canonical(const std::string& path, const QueryPairs& query, PrivilegeForms& out) {
  request::Arena arena;
  request::CanonicalPath canonical;
  request::CanonicalQuery pairs;
  const std::string query_text = joined(query);
  out.fault = request::canonicalize_path(path, arena, canonical);
  if (out.fault == request::Fault::kNone) {
    out.fault = request::canonicalize_query(query_text, arena, pairs);
  }
  if (out.fault != request::Fault::kNone) {
    return;
  }
  Form form;
  for (const std::string_view segment : canonical.segments) {
    form.path += '/';
    form.path += segment;
  }
  form.path = form.path.empty() ? "/" : form.path;
  for (const request::QueryPair& pair : pairs.pairs) {
    if (out.canonical_query.empty() || out.canonical_query.back().key != pair.key) {
      out.canonical_query.push_back({.key = std::string(pair.key), .values = {}});
      form.query.emplace_back(pair.key, pair.value);
    }
    out.canonical_query.back().values.emplace_back(pair.value);
  }
  out.canonical = std::move(form);
}

}  // namespace

PrivilegeForms forms_of(const RulePrivilege& privilege) {
  PrivilegeForms out;
  const std::string path = policy::lower(privilege.path);
  QueryPairs query = policy::folded_query(privilege);
  add_canonical(path, query, out);
  if (policy::RuleSet::legacy_fault(privilege) == policy::LegacyFault::kNone) {
    out.legacy = Form{.path = path.empty() ? "/" : path, .query = std::move(query)};
  }
  return out;
}

bool legacy_covers(const Form& prefix, const Form& longer) { return longer.path.starts_with(prefix.path); }

bool canonical_covers(const Form& prefix, const Form& longer) {
  return prefix.path == "/" || (longer.path.starts_with(prefix.path) &&
                                (longer.path.size() == prefix.path.size() || longer.path[prefix.path.size()] == '/'));
}

std::string escape(std::string_view text, bool keep_slashes) {
  std::string out;
  for (const char c : text) {
    if (unreserved(c) || (keep_slashes && c == '/')) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 0x0F];
    }
  }
  return out;
}

std::string target_of(const Form& form) {
  std::string out = escape(form.path, true);
  if (form.path.ends_with("/..")) {
    out += 'x';  // a whole segment ".." is refused before rules are asked; in legacy matching this one is met as well
  }
  char separator = '?';
  for (const auto& [key, value] : form.query) {
    out += separator;
    out += escape(key, false) + "=" + escape(value, false);
    separator = '&';
  }
  return out;
}

}  // namespace msp::authoring
