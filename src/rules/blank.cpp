// SPDX-License-Identifier: Apache-2.0
#include "rules/blank.h"

namespace msp::rules {
namespace {

constexpr std::string_view kBlanks[] = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
    "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
    "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
    "\xe3\x80\x80"};

std::size_t blank_at_front(std::string_view text) {
  for (const std::string_view blank : kBlanks) {
    if (text.starts_with(blank)) {
      return blank.size();
    }
  }
  return 0;
}

std::size_t blank_at_back(std::string_view text) {
  for (const std::string_view blank : kBlanks) {
    if (text.ends_with(blank)) {
      return blank.size();
    }
  }
  return 0;
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (const std::size_t size = blank_at_front(text)) {
    text.remove_prefix(size);
  }
  while (const std::size_t size = blank_at_back(text)) {
    text.remove_suffix(size);
  }
  return text;
}

}  // namespace msp::rules
