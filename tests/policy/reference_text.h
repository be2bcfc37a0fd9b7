// SPDX-License-Identifier: Apache-2.0
// Texts as protocol.md E.2, E.3 and F read them, written once more and as plainly as possible: no table, no buffer, no
// shared code with src/request and src/policy. Tests and fuzz targets compare the product with it.
// Pure functions; any thread.
// Nothing fails: a fault of canonicalisation is a value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace msp::test::reference {

using Pair = std::pair<std::string, std::string>;

/// Unicode lower-casing; what is no UTF-8 becomes U+FFFD.
std::string lower(std::string_view text);
/// `%XX` once; malformed escapes stay as text.
std::string decode(std::string_view text);

/// F, steps 5 to 11. `fault`: "CANON_PCT" …, empty if there is none; the rest counts only then.
struct Path {
  std::string fault;
  std::vector<std::string> segments;
  bool trailing_slash = false;
};
Path canonical_path(std::string_view raw);

/// F, steps 12 and 13.
struct Query {
  std::string fault;
  std::vector<Pair> pairs;  ///< by key, values of one key in order of appearance
};
Query canonical_query(std::string_view raw);

/// The rendering of F, which must be read back as the same.
std::string render(const Path& path);
std::string render(const Query& query);

/// At every occurrence of `separator`; "" gives one empty part.
std::vector<std::string> split(std::string_view text, char separator);
/// At the first occurrence; the second part is empty without one.
Pair cut(std::string_view text, char separator);

}  // namespace msp::test::reference
