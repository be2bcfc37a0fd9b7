// SPDX-License-Identifier: Apache-2.0
#include "authoring/diff_requests.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

namespace msp::authoring {
namespace {

constexpr std::size_t kMostJoins = 64;  ///< for one request
constexpr std::size_t kMostRequests = 400'000;

class Candidates {
 public:
  Candidates(const DiffSide& a, const DiffSide& b) : sides_{&a, &b} {}

  CandidateRequests run() && {
    for (const DiffSide* side : sides_) {
      for (const PrivilegeForms& forms : side->forms()) {
        for (const std::optional<Form>* form : {&forms.legacy, &forms.canonical}) {
          if (*form) {
            add(**form, 0);
            other_values(**form, forms);
            joins(**form);
            edges(**form);
          }
        }
      }
    }
    add({.path = "/", .query = {}}, 3);
    add({.path = "/no-rule-names-this", .query = {}}, 3);
    std::ranges::sort(out_.requests, [](const CandidateRequest& x, const CandidateRequest& y) {
      return std::pair(x.rank, x.target.size()) < std::pair(y.rank, y.target.size());
    });
    methods();
    return std::move(out_);
  }

 private:
  void add(Form form, int rank) {
    if (seen_.size() >= kMostRequests) {
      out_.joins_bounded = true;
      return;
    }
    std::string target = target_of(form);
    if (seen_.insert(target).second) {
      out_.requests.push_back({.form = std::move(form), .target = std::move(target), .rank = rank});
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

  /// Asks for what this one asks and for what another one asks, whose path is a part of it.
  void joins(const Form& form) {
    std::size_t made = 0;
    for (const DiffSide* side : sides_) {
      for (const std::uint32_t i : side->at_path(form)) {
        for (const std::optional<Form>* other : {&side->forms()[i].legacy, &side->forms()[i].canonical}) {
          if (!*other || (*other)->query.empty()) {
            continue;
          }
          Form joined = form;
          for (const auto& pair : (*other)->query) {
            if (std::ranges::find(form.query, pair) == form.query.end()) {
              joined.query.push_back(pair);
            }
          }
          if (joined.query.size() == form.query.size()) {
            continue;
          }
          if (++made > kMostJoins) {
            out_.joins_bounded = true;
            return;
          }
          add(std::move(joined), 1);
        }
      }
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
  CandidateRequests out_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

CandidateRequests candidate_requests(const DiffSide& a, const DiffSide& b) { return Candidates(a, b).run(); }

}  // namespace msp::authoring
