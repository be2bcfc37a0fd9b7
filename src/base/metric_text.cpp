// SPDX-License-Identifier: Apache-2.0
#include "base/metric_text.h"

#include <fmt/core.h>

#include <iterator>

#include "base/utf8.h"

namespace msp {
namespace {

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_sequence(text, i);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      ++i;
      continue;
    }
    const char c = text[i];
    if (c == '\\' || (quotes && c == '"')) {
      out += '\\';
    }
    if (c == '\n') {
      out += "\\n";
    } else {
      out.append(text.substr(i, length));
    }
    i += length;
  }
}

}  // namespace

MetricText& MetricText::family(std::string_view name, std::string_view help, std::string_view type) {
  name_ = prefix_ + std::string(name);
  out_ += fmt::format("# HELP {} ", name_);
  append_escaped(out_, help, false);
  out_ += fmt::format("\n# TYPE {} {}\n", name_, type);
  return *this;
}

void MetricText::begin_sample(Labels labels) {
  out_ += name_;
  char before = '{';
  for (const Label& label : labels) {
    out_ += before;
    out_.append(label.name).append("=\"");
    append_escaped(out_, label.value, true);
    out_ += '"';
    before = ',';
  }
  out_ += before == ',' ? "} " : " ";
}

MetricText& MetricText::sample(std::uint64_t value, Labels labels) {
  begin_sample(labels);
  fmt::format_to(std::back_inserter(out_), "{}\n", value);
  return *this;
}

MetricText& MetricText::sample(double value, Labels labels) {
  begin_sample(labels);
  fmt::format_to(std::back_inserter(out_), "{}\n", value);
  return *this;
}

}  // namespace msp
