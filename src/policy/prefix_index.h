// SPDX-License-Identifier: Apache-2.0
// Finds all rule paths that are a prefix of a request's path without looking at rules that cannot match.
// Built once while a rule set is compiled, immutable afterwards; any thread.
// Nothing can fail: a look-up reads the text once, whatever the number of paths.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace msp::policy {

/// A trie of bytes whose single-child chains are folded into labels. Both matchers use it: the legacy one with folded
/// text, the canonical one with "/" behind each segment, so that bytes align with segments.
class PrefixIndex {
 public:
  using Paths = std::map<std::string, std::vector<std::uint32_t>, std::less<>>;

  PrefixIndex() = default;
  /// Values under one path keep their order.
  explicit PrefixIndex(const Paths& paths);

  /// Calls visit(span of values) for each path that is a prefix of `text`, shortest path first, until it returns true.
  /// Returns whether it did.
  template <class Visit>
  bool any_prefix(std::string_view text, Visit visit) const {
    for (const Node* node = nodes_.data(); node != nullptr && !nodes_.empty(); node = step(*node, text)) {
      if (node->value_count != 0 && visit(std::span(values_).subspan(node->first_value, node->value_count))) {
        return true;
      }
    }
    return false;
  }

 private:
  struct Node {
    std::uint32_t label = 0;  ///< offset into labels_
    std::uint32_t label_size = 0;
    std::uint32_t first_child = 0;  ///< children stand side by side, by their first byte
    std::uint32_t child_count = 0;
    std::uint32_t first_value = 0;
    std::uint32_t value_count = 0;
  };

  /// The child whose label begins `text`, taken off its front; null if there is none.
  const Node* step(const Node& node, std::string_view& text) const;

  std::vector<Node> nodes_;  ///< the root first
  std::string first_bytes_;  ///< of each node's label, by index of the node
  std::string labels_;
  std::vector<std::uint32_t> values_;
};

}  // namespace msp::policy
