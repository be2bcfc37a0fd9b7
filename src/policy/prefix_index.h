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
    for (const Node* node = x_nodes.data(); node != nullptr && !x_nodes.empty(); node = step(*node, text)) {
      if (node->value_count != 0 && visit(std::span(x_values).subspan(node->first_value, node->value_count))) {
        return true;
      }
    }
    return false;
  }

 private:
  struct Node {
    std::uint32_t label = 0;  ///< offset into x_labels
    std::uint32_t label_size = 0;
    std::uint32_t first_child = 0;  ///< children stand side by side, by their first byte
    std::uint32_t child_count = 0;
    std::uint32_t first_value = 0;
    std::uint32_t value_count = 0;
  };

  /// The child whose label begins `text`, taken off its front; null if there is none.
  const Node* step(const Node& node, std::string_view& text) const;

  std::vector<Node> x_nodes;  ///< the root first
  std::string x_first_bytes;  ///< of each node's label, by index of the node
  std::string x_labels;
  std::vector<std::uint32_t> x_values;
};

}  // namespace msp::policy
