// SPDX-License-Identifier: Apache-2.0
#include "policy/legacy_query.h"

#include <algorithm>

#include "policy/fold.h"

namespace msp::policy {

bool LegacyQuery::meets(const std::vector<std::pair<std::string, std::string>>& required) {
  if (required.empty()) {
    return true;
  }
  if (!split_) {
    split();
  }
  return std::ranges::all_of(required, [this](const auto& pair) { return holds(pair.first, pair.second); });
}

bool LegacyQuery::holds(std::string_view key, std::string_view value) const {
  if (folded_.empty()) {
    const auto found =
        std::ranges::find_if(pairs_, [&](const Pair& pair) { return equals_decoded_lower(pair.key, key); });
    return found != pairs_.end() && equals_decoded_lower(found->value, value);
  }
  const auto found =
      std::ranges::lower_bound(folded_, key, {}, [this](const Folded& pair) { return text(pair.key, pair.value); });
  return found != folded_.end() && text(found->key, found->value) == key && text(found->value, found->end) == value;
}

std::optional<std::string_view> LegacyQuery::value_of(std::string_view key) {
  fold();
  const auto found =
      std::ranges::lower_bound(folded_, key, {}, [this](const Folded& pair) { return text(pair.key, pair.value); });
  if (found == folded_.end() || text(found->key, found->value) != key) {
    return std::nullopt;
  }
  return text(found->value, found->end);
}

void LegacyQuery::split() {
  split_ = true;
  pairs_.reserve(kFew);
  split(raw_);
  split(embedded_);
  if (pairs_.size() > kFew) {
    fold_and_sort();
  }
}

void LegacyQuery::split(std::string_view query) {
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    const std::string_view key = part.substr(0, part.find('='));
    if (!key.empty()) {
      pairs_.push_back({.key = key, .value = part.substr(std::min(part.size(), key.size() + 1))});
    }
  }
}

void LegacyQuery::fold() {
  if (!split_) {
    split();
  }
  if (folded_.empty()) {
    fold_and_sort();
  }
}

void LegacyQuery::fold_and_sort() {
  text_.reserve(raw_.size() + embedded_.size());
  folded_.reserve(pairs_.size());
  for (const Pair& pair : pairs_) {
    Folded& folded = folded_.emplace_back();
    folded.key = static_cast<std::uint32_t>(text_.size());
    append_decoded_lower(pair.key, text_);
    folded.value = static_cast<std::uint32_t>(text_.size());
    append_decoded_lower(pair.value, text_);
    folded.end = static_cast<std::uint32_t>(text_.size());
  }
  std::ranges::sort(folded_, [this](const Folded& a, const Folded& b) {
    const int order = text(a.key, a.value).compare(text(b.key, b.value));
    return order != 0 ? order < 0 : a.key < b.key;
  });
}

}  // namespace msp::policy
