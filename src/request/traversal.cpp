// SPDX-License-Identifier: Apache-2.0
#include "request/traversal.h"

#include "request/percent.h"

namespace msp::request {
namespace {

/// Calls `each` with every byte of the path decoded once; a malformed escape is passed on as it stands.
/// Stops, and returns true, as soon as `each` does.
template <class Each>
bool any_decoded(std::string_view raw, Each each) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%' && raw.size() - i > 2) {
      const int pair = hex_pair(raw[i + 1], raw[i + 2]);
      if (pair >= 0) {
        c = static_cast<char>(pair);
        i += 2;
      }
    }
    if (each(c)) {
      return true;
    }
  }
  return false;
}

/// Watches one segment go by and knows whether, cut and without blanks, it is empty, `.`, begins with `..`, or is the
/// channel's name.
class SegmentWatch {
 public:
  void add(char c) {
    // Where readers end a segment, and what they trim from one.
    cut_ = cut_ || c == ';' || c == '?' || c == '#' || c == '\0';
    const bool blank = static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
    if (cut_ || blank) {
      return;
    }
    dots_ = dots_ && (size_ >= 2 || c == '.');
    name_ = name_ && size_ < kName.size() && kByteClass.fold[static_cast<unsigned char>(c)] == kName[size_];
    ++size_;
  }
  bool is_channel() const { return name_ && size_ == kName.size(); }
  bool climbs() const { return dots_ && size_ >= 2; }
  bool is_neutral() const { return size_ == 0 || (size_ == 1 && dots_); }

 private:
  static constexpr std::string_view kName = "secure-channel";
  std::size_t size_ = 0;
  bool dots_ = true;
  bool name_ = true;
  bool cut_ = false;
};

}  // namespace

// A decode never removes a slash or a dot that was there before, so the decoded text shows both kinds.
bool has_traversal(std::string_view raw_path) {
  if (!raw_path.contains('%') && !raw_path.contains('.')) {
    return raw_path.contains("//");
  }
  bool after_slash = false;
  std::size_t size = 0;
  bool dots = true;
  const bool found = any_decoded(raw_path, [&](char c) {
    if (c == '/') {
      if (after_slash || (dots && size == 2)) {
        return true;
      }
      after_slash = true;
      size = 0;
      dots = true;
      return false;
    }
    after_slash = false;
    dots = dots && c == '.';
    ++size;
    return false;
  });
  return found || (dots && size == 2);
}

bool has_traversal_in_the_field(std::string_view raw_path) {
  char previous = 0;
  return raw_path.find("//") != std::string_view::npos || any_decoded(raw_path, [&](char c) {
           const bool pair = c == '.' && previous == '.';
           previous = c;
           return pair;
         });
}

bool reaches_secure_channel(std::string_view raw_path) {
  if (!raw_path.contains('%') && !raw_path.contains('-')) {
    return false;  // the channel's name has a dash
  }
  bool here = true;  // at the root, or anywhere once something climbed
  bool climbed = false;
  SegmentWatch segment;
  const bool found = any_decoded(raw_path, [&](char c) {
    if (c != '/' && c != '\\') {
      segment.add(c);
      return false;
    }
    if (here && segment.is_channel()) {
      return true;
    }
    climbed = climbed || segment.climbs();
    here = climbed || (here && segment.is_neutral());
    segment = SegmentWatch();
    return false;
  });
  return found || (here && segment.is_channel());
}

}  // namespace msp::request
