// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint_cover.h"

#include <algorithm>

namespace msp::authoring {
namespace {

/// Each need of `fewer` is met whenever those of `more` are. Keys and values are sorted, each once.
bool subset(const std::vector<policy::RequiredQuery>& fewer, const std::vector<policy::RequiredQuery>& more) {
  return std::ranges::all_of(fewer, [&](const policy::RequiredQuery& need) {
    const auto other = std::ranges::lower_bound(more, need.key, {}, &policy::RequiredQuery::key);
    return other != more.end() && other->key == need.key && std::ranges::includes(need.values, other->values);
  });
}

void sort_values(PrivilegeForms& forms) {
  for (policy::RequiredQuery& need : forms.canonical_query) {
    std::ranges::sort(need.values);
    const auto rest = std::ranges::unique(need.values);
    need.values.erase(rest.begin(), rest.end());
  }
}

/// None named is any.
bool names_no_more(const std::vector<std::string>& may, const std::vector<std::string>& wants) {
  return may.empty() || (!wants.empty() && std::ranges::all_of(wants, [&](const std::string& method) {
           return std::ranges::find(may, method) != may.end();
         }));
}

std::string key_of(std::string_view path) { return std::string(path); }

/// No path holds a zero byte.
std::string key_of(std::string_view path, std::string_view key, std::string_view value) {
  std::string out(path);
  out += '\0';
  out += key;
  out += '\0';
  return out += value;
}

/// Calls visit(key) for each value.
template <class Visit>
void each_value(std::string_view path, const policy::RequiredQuery& need, Visit visit) {
  for (const std::string& value : need.values) {
    visit(key_of(path, need.key, value));
  }
}

}  // namespace

void Cover::file(const RuleIndex& index) {
  forms_.reserve(rules_.privileges.size());
  std::ranges::transform(rules_.privileges, std::back_inserter(forms_), forms_of);
  std::ranges::for_each(forms_, sort_values);
  std::unordered_map<std::string, std::size_t> frequency;
  const auto each = [&](auto visit) {
    for (const std::uint32_t i : index.privileges()) {
      if (forms_[i].canonical) {
        visit(i, forms_[i].canonical->path, forms_[i].canonical_query);
      }
    }
  };
  each([&](std::uint32_t, const std::string& path, const auto& query) {
    for (const policy::RequiredQuery& need : query) {
      each_value(path, need, [&](const std::string& key) { ++frequency[key]; });
    }
  });
  // Under its rarest parameter: an api-version that all have in common tells nobody from another.
  each([&](std::uint32_t i, const std::string& path, const auto& query) {
    if (query.empty()) {
      filed_[key_of(path)].push_back(i);
      return;
    }
    const auto rarest = std::ranges::min_element(query, {}, [&](const policy::RequiredQuery& need) {
      std::size_t sum = 0;
      each_value(path, need, [&](const std::string& key) { sum += frequency[key]; });
      return sum;
    });
    each_value(path, *rarest, [&](const std::string& key) { filed_[key].push_back(i); });
  });
}

bool Cover::matches_along(std::uint32_t broad, std::uint32_t narrow) const {
  const PrivilegeForms& a = forms_[broad];
  const PrivilegeForms& b = forms_[narrow];
  return a.legacy && b.legacy && a.canonical && b.canonical && canonical_covers(*a.canonical, *b.canonical) &&
         legacy_covers(*a.legacy, *b.legacy) && std::ranges::includes(b.legacy->query, a.legacy->query) &&
         subset(a.canonical_query, b.canonical_query);
}

bool Cover::asks_no_more(std::uint32_t broad, std::uint32_t narrow) const {
  return names_no_more(rules_.privileges[broad].openmsp.methods, rules_.privileges[narrow].openmsp.methods) &&
         matches_along(broad, narrow);
}

const Indexes& Cover::filed_under(const std::string& key) const {
  static const Indexes kNone;
  const auto found = filed_.find(key);
  return found == filed_.end() ? kNone : found->second;
}

std::uint32_t Cover::first_of_path(std::string_view path, const PrivilegeForms& narrow, const Predicate& fits) const {
  std::uint32_t out = RuleIndex::kNone;
  const auto look = [&](const Indexes& filed) {
    for (std::size_t i = 0; i < filed.size() && filed[i] < out && left_ > 0; ++i, --left_) {
      if (fits(filed[i])) {
        out = filed[i];
      }
    }
  };
  look(filed_under(key_of(path)));
  for (const policy::RequiredQuery& need : narrow.canonical_query) {
    // Who covers it takes all of the values: one tells, that which the fewest take.
    const Indexes* fewest = nullptr;
    each_value(path, need, [&](const std::string& key) {
      const Indexes& filed = filed_under(key);
      if (fewest == nullptr || filed.size() < fewest->size()) {
        fewest = &filed;
      }
    });
    if (fewest != nullptr) {
      look(*fewest);
    }
  }
  return out;
}

std::uint32_t Cover::first(std::uint32_t narrow, const Predicate& fits) const {
  const PrivilegeForms& forms = forms_[narrow];
  if (!forms.canonical) {
    return RuleIndex::kNone;
  }
  std::string_view path = forms.canonical->path;
  while (true) {
    if (const std::uint32_t found = first_of_path(path, forms, fits); found != RuleIndex::kNone || path.size() <= 1) {
      return found;
    }
    const std::size_t slash = path.rfind('/');
    path = slash == 0 ? std::string_view("/") : path.substr(0, slash);
  }
}

}  // namespace msp::authoring
