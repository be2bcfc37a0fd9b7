// SPDX-License-Identifier: Apache-2.0
// Writes metrics in Prometheus' text format (0.0.4): families with help and type, samples with labels.
// A value of one thread. Callers name metrics by the conventions (prefix of the program, base units, _total for
// counters). Nothing fails: label values may hold any bytes, they are escaped; what is no UTF-8 is replaced.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace msp {

class MetricText {
 public:
  struct Label {
    std::string_view name;
    std::string_view value;
  };
  using Labels = std::initializer_list<Label>;

  /// `prefix`: "msp_agent_", before every name.
  explicit MetricText(std::string_view prefix) : prefix_(prefix) {}

  /// Begins a family; the samples that follow are its own. `name` of a counter ends in _total.
  MetricText& counter(std::string_view name, std::string_view help) { return family(name, help, "counter"); }
  MetricText& gauge(std::string_view name, std::string_view help) { return family(name, help, "gauge"); }

  MetricText& sample(std::uint64_t value, Labels labels = {});
  MetricText& sample(double value, Labels labels = {});
  MetricText& sample(bool value, Labels labels = {}) { return sample(std::uint64_t{value ? 1U : 0U}, labels); }

  std::string take() && { return std::move(out_); }

 private:
  MetricText& family(std::string_view name, std::string_view help, std::string_view type);
  void begin_sample(Labels labels);

  std::string prefix_;
  std::string name_;  ///< of the current family, whole
  std::string out_;
};

}  // namespace msp
