// SPDX-License-Identifier: Apache-2.0
#include "policy/prefix_index.h"

#include <algorithm>
#include <cstddef>
#include <span>

namespace msp::policy {
namespace {

/// A node that waits for its children: paths [begin, end) share their first `depth` bytes.
struct Pending {
  std::size_t node;
  std::size_t begin;
  std::size_t end;
  std::size_t depth;
};

std::size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

PrefixIndex::PrefixIndex(const Paths& paths) {
  std::vector<const Paths::value_type*> sorted;
  sorted.reserve(paths.size());
  for (const auto& path : paths) {
    sorted.push_back(&path);
  }
  nodes_.emplace_back();
  first_bytes_.push_back('\0');
  // Breadth first, so that children of one node stand side by side.
  std::vector<Pending> queue = {{.node = 0, .begin = 0, .end = sorted.size(), .depth = 0}};
  for (std::size_t next = 0; next < queue.size(); ++next) {
    auto [node, begin, end, depth] = queue[next];
    if (begin < end && sorted[begin]->first.size() == depth) {
      const std::vector<std::uint32_t>& values = sorted[begin]->second;
      nodes_[node].first_value = static_cast<std::uint32_t>(values_.size());
      nodes_[node].value_count = static_cast<std::uint32_t>(values.size());
      values_.insert(values_.end(), values.begin(), values.end());
      ++begin;
    }
    nodes_[node].first_child = static_cast<std::uint32_t>(nodes_.size());
    while (begin < end) {
      const std::string& first = sorted[begin]->first;
      std::size_t group = begin + 1;
      while (group < end && sorted[group]->first[depth] == first[depth]) {
        ++group;
      }
      // In byte order, what the ends of a group share, all of it shares.
      const std::size_t shared = common_prefix(first, sorted[group - 1]->first);
      queue.push_back({.node = nodes_.size(), .begin = begin, .end = group, .depth = shared});
      Node& child = nodes_.emplace_back();
      child.label = static_cast<std::uint32_t>(labels_.size());
      child.label_size = static_cast<std::uint32_t>(shared - depth);
      labels_.append(first, depth, shared - depth);
      first_bytes_.push_back(first[depth]);
      ++nodes_[node].child_count;
      begin = group;
    }
  }
}

const PrefixIndex::Node* PrefixIndex::step(const Node& node, std::string_view& text) const {
  if (text.empty()) {
    return nullptr;
  }
  const auto firsts = std::span(first_bytes_).subspan(node.first_child, node.child_count);
  const auto found = std::ranges::find(firsts, text.front());
  if (found == firsts.end()) {
    return nullptr;
  }
  const Node& child = nodes_[node.first_child + static_cast<std::size_t>(found - firsts.begin())];
  const std::string_view label = std::string_view(labels_).substr(child.label, child.label_size);
  if (!text.starts_with(label)) {
    return nullptr;
  }
  text.remove_prefix(label.size());
  return &child;
}

}  // namespace msp::policy
