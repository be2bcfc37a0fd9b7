// SPDX-License-Identifier: Apache-2.0
#include "cli/line_stream.h"

#include <array>
#include <cerrno>
#include <istream>

#include "cli/input_file.h"

namespace msp::cli {
namespace {

class Splitter {
 public:
  explicit Splitter(const LineSink& sink) : sink_(sink) {}

  void feed(std::string_view chunk) {
    while (!chunk.empty()) {
      const std::size_t end = chunk.find('\n');
      hold(chunk.substr(0, end));
      if (end == std::string_view::npos) {
        return;
      }
      finish(true);
      chunk.remove_prefix(end + 1);
    }
  }
  void end() {
    if (!line_.empty() || too_long_) {
      finish(false);
    }
  }

 private:
  void hold(std::string_view part) {
    too_long_ = too_long_ || line_.size() + part.size() > kMaxLineBytes;
    if (!too_long_) {
      line_ += part;
    }
  }
  void finish(bool complete) {
    if (too_long_) {
      sink_.too_long();
    } else {
      sink_.line(line_, complete);
    }
    line_.clear();
    too_long_ = false;
  }

  const LineSink& sink_;
  std::string line_;
  bool too_long_ = false;
};

Result<void> each_line(std::istream& in, const std::string& path, const LineSink& sink) {
  Splitter splitter(sink);
  std::array<char, 65536> chunk;
  while (in.read(chunk.data(), chunk.size()) || in.gcount() > 0) {
    splitter.feed({chunk.data(), static_cast<std::size_t>(in.gcount())});
  }
  if (in.bad()) {
    return errno_error("read " + path);
  }
  splitter.end();
  return {};
}

}  // namespace

Result<void> each_line(const std::string& path, const LineSink& sink) {
  return with_input(path, [&](std::istream& in, const std::string& name) { return each_line(in, name, sink); });
}

}  // namespace msp::cli
