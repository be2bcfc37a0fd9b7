// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint_tricks.h"

#include <algorithm>
#include <array>

namespace msp::authoring {
namespace {

constexpr std::string_view kAuthor =
    "write the rule so that both readings agree, or settle on one canonicalRequestMode";

std::string with_path(const Form& form, std::string path) {
  return target_of({.path = std::move(path), .query = form.query});
}

/// The target with something put between path and query.
std::string before_query(const Form& form, std::string_view text) {
  std::string target = target_of(form);
  target.insert(std::min(target.size(), target.find('?')), text);
  return target;
}

/// Where the n-th '/' of the path stands; npos: it has no more.
std::size_t slash(std::string_view path, std::size_t n) {
  std::size_t at = path.find('/');
  while (n-- > 0 && at != std::string_view::npos) {
    at = path.find('/', at + 1);
  }
  return at;
}

/// A broader rule may end before any segment, so that each of them is a place of its own.
std::string dot_before_segment(const Form& form, std::size_t n) {
  std::string target = target_of(form);
  const std::size_t at = slash(std::string_view(target).substr(0, target.find('?')), n);
  return at == std::string::npos ? std::string() : target.insert(at, "/.");
}

std::string parameter_in_segment(const Form& form, std::size_t n) {
  std::string target = target_of(form);
  const std::string_view path = std::string_view(target).substr(0, target.find('?'));
  if (slash(path, n) == std::string_view::npos) {
    return {};
  }
  return target.insert(std::min(path.size(), slash(path, n + 1)), ";a=b");
}

/// "?k=no&k=v": the first value is another one.
std::string doubled_query(const Form& form) {
  if (form.query.empty()) {
    return {};
  }
  Form out = form;
  out.query.insert(out.query.begin(), {form.query.front().first, form.query.front().second + "x"});
  return target_of(out);
}

std::string hidden_query(const Form& form) {
  if (form.query.empty()) {
    return {};
  }
  std::string target = target_of(form);
  return target.replace(target.find('?'), 1, "%3F");
}

std::string longer_segment(const Form& form) {
  return form.path.ends_with('/') ? std::string() : with_path(form, form.path + "-x");
}

std::string without_slash(const Form& form) {
  return form.path.size() > 1 && form.path.ends_with('/') ? with_path(form, form.path.substr(0, form.path.size() - 1))
                                                          : std::string();
}

/// For those that can be played in one place only.
template <auto kTarget>
std::string once(const Form& form, std::size_t n) {
  return n == 0 ? kTarget(form) : std::string();
}

constexpr std::array kTricks{
    Trick{.code = "legacy-prefix",
          .what = "a longer last segment (legacy matching compares characters, canonical matching segments)",
          .by_rule = true,
          .remedy = "let canonical matching decide; where legacy must, end the path with '/'",
          .target = once<longer_segment>},
    Trick{.code = "trailing-slash",
          .what = "the path without the rule's last '/'",
          .by_rule = true,
          .remedy = "write the path without it; where legacy decides, '/a' also allows '/a-x'",
          .target = once<without_slash>},
    Trick{.code = "rule-spelling",
          .what = "just what the rule says, as this reading takes it",
          .by_rule = true,
          .remedy = kAuthor,
          .target = once<target_of>},
    Trick{.code = "dot-segment",
          .what = "a '.' segment in the path",
          .by_rule = false,
          .remedy = {},
          .target = dot_before_segment},
    Trick{.code = "matrix-parameter",
          .what = "a ';' parameter in the path",
          .by_rule = false,
          .remedy = {},
          .target = parameter_in_segment},
    Trick{.code = "hidden-query",
          .what = "an escaped '?' in front of the query",
          .by_rule = false,
          .remedy = {},
          .target = once<hidden_query>},
    Trick{.code = "repeated-parameter",
          .what = "a query parameter given twice (legacy matching takes the first, canonical any)",
          .by_rule = false,
          .remedy = {},
          .target = once<doubled_query>},
    Trick{.code = "malformed-escape",
          .what = "a '%' without two hex digits behind the path",
          .by_rule = false,
          .remedy = {},
          .target = once<[](const Form& form) { return before_query(form, "/%zz"); }>},
    Trick{.code = "non-ascii",
          .what = "a character outside ASCII behind the path",
          .by_rule = false,
          .remedy = {},
          .target = once<[](const Form& form) { return before_query(form, "/%C3%A9"); }>},
};

}  // namespace

std::span<const Trick> tricks() { return kTricks; }

}  // namespace msp::authoring
