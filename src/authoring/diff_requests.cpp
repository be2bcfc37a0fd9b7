// SPDX-License-Identifier: Apache-2.0
#include "authoring/diff_requests.h"

#include <algorithm>
#include <array>
#include <span>
#include <unordered_set>
#include <utility>

#include "policy/prefix_index.h"

namespace msp::authoring {
namespace {

constexpr std::size_t kMostJoins = 64;  ///< for one request
constexpr std::size_t kMostRequests = 400'000;

class Candidates {
 public:
  Candidates(const DiffSide& a, const DiffSide& b, std::size_t max_steps) : sides_{&a, &b}, max_steps_(max_steps) {}

  CandidateRequests run() && {
    for (const DiffSide* side : sides_) {
      for (const PrivilegeForms& forms : side->forms()) {
        asked_for(forms);
      }
    }
    const std::size_t plain = out_.requests.size();
    for (std::size_t i = 0; i < plain; ++i) {
      edges(Form(out_.requests[i].form));
    }
    add({.path = "/", .query = {}}, 3);
    add({.path = "/no-rule-names-this", .query = {}}, 3);
    // Last, since there may be many: what a privilege asks for must not find the list full.
    all_joins(plain);
    std::ranges::sort(out_.requests, [](const CandidateRequest& x, const CandidateRequest& y) {
      return std::pair(x.rank, x.target.size()) < std::pair(y.rank, y.target.size());
    });
    methods();
    return std::move(out_);
  }

 private:
  bool is_full() {
    const bool full = seen_.size() >= kMostRequests || out_.steps >= max_steps_;
    out_.joins_bounded = out_.joins_bounded || full;
    return full;
  }

  void add(Form form, int rank) {
    if (is_full()) {
      return;
    }
    ++out_.steps;
    std::string target = target_of(form);
    if (seen_.insert(target).second) {
      out_.requests.push_back({.form = std::move(form), .target = std::move(target), .rank = rank});
    }
  }

  void asked_for(const PrivilegeForms& forms) {
    if (forms.legacy) {
      add(*forms.legacy, 0);
    }
    if (forms.canonical) {
      add(*forms.canonical, 0);
      other_values(*forms.canonical, forms);
    }
  }

  /// A rule's value that canonical matching cuts at '&' can be met in several ways.
  void other_values(const Form& form, const PrivilegeForms& forms) {
    for (const policy::RequiredQuery& need : forms.canonical_query) {
      for (std::size_t i = 1; i < need.values.size(); ++i) {
        Form other = form;
        const auto pair = std::ranges::find(other.query, need.key, &QueryPairs::value_type::first);
        if (pair != other.query.end()) {
          pair->second = need.values[i];
          add(std::move(other), 1);
        }
      }
    }
  }

  /// Of the first `plain` requests each with those whose path is the beginning of its own.
  void all_joins(std::size_t plain) {
    policy::PrefixIndex::Paths with_query;
    for (std::uint32_t i = 0; i < plain; ++i) {
      if (const Form& form = out_.requests[i].form; !form.query.empty()) {
        with_query[form.path].push_back(i);
      }
    }
    const policy::PrefixIndex index(with_query);
    for (std::uint32_t i = 0; i < plain && !is_full(); ++i) {
      const Form form = out_.requests[i].form;
      std::size_t looked_at = 0;
      const auto join = [&](std::uint32_t other) {
        if (other != i && ++looked_at > kMostJoins) {
          out_.joins_bounded = true;
          return true;
        }
        join_two(form, out_.requests[other].form);
        return false;
      };
      index.any_prefix(form.path,
                       [&](std::span<const std::uint32_t> others) { return std::ranges::any_of(others, join); });
    }
  }

  /// Asks for what this one asks and for what another one asks, whose path is a part of it.
  void join_two(const Form& form, const Form& other) {
    ++out_.steps;
    Form joined = form;
    for (const auto& pair : other.query) {
      if (std::ranges::find(form.query, pair) == form.query.end()) {
        joined.query.push_back(pair);
      }
    }
    if (joined.query.size() != form.query.size()) {
      add(std::move(joined), 1);
    }
  }

  /// What lies just beside: segments and characters behind the path, and queries that do not fit.
  void edges(const Form& form) {
    const bool slash = form.path.ends_with('/');
    add({.path = form.path + (slash ? "x" : "/x"), .query = form.query}, 2);
    if (!slash) {
      add({.path = form.path + "-x", .query = form.query}, 2);
      add({.path = form.path + "/", .query = form.query}, 2);
    } else if (form.path.size() > 1) {
      add({.path = form.path.substr(0, form.path.size() - 1), .query = form.query}, 2);
    }
    if (form.query.empty()) {
      return;
    }
    add({.path = form.path, .query = {}}, 2);
    Form wrong = form;
    wrong.query.front().second += "x";
    Form wrong_first = form;
    wrong_first.query.insert(wrong_first.query.begin(), wrong.query.front());
    add(std::move(wrong), 2);
    add(std::move(wrong_first), 2);
  }

  void methods() {
    constexpr std::array kAll{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"};
    const bool named = std::ranges::any_of(sides_, [](const DiffSide* side) {
      return std::ranges::any_of(side->privileges(),
                                 [](const RulePrivilege* p) { return !p->openmsp.methods.empty(); });
    });
    out_.methods.assign(kAll.begin(), named ? kAll.end() : kAll.begin() + 1);
  }

  std::array<const DiffSide*, 2> sides_;
  std::size_t max_steps_;
  CandidateRequests out_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

CandidateRequests candidate_requests(const DiffSide& a, const DiffSide& b, std::size_t max_steps) {
  return Candidates(a, b, max_steps).run();
}

}  // namespace msp::authoring
