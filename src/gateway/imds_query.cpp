// SPDX-License-Identifier: Apache-2.0
#include "gateway/imds_query.h"

#include "gateway/percent.h"
#include "http/head.h"

namespace msp::gateway {

ImdsQuery::ImdsQuery(std::string_view text) {
  while (!text.empty()) {
    const auto amp = text.find('&');
    const std::string_view part = text.substr(0, amp);
    text = amp == std::string_view::npos ? std::string_view{} : text.substr(amp + 1);
    if (part.empty()) {
      continue;
    }
    const auto equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    if (count_ == parameters_.size() || find(name)) {
      good_ = false;
      count_ = 0;
      return;
    }
    parameters_[count_++] = {name, equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1)};
  }
}

std::optional<std::string_view> ImdsQuery::find(std::string_view name) const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (http::iequals(parameters_[i].first, name)) {
      return parameters_[i].second;
    }
  }
  return std::nullopt;
}

std::string ImdsQuery::decoded(std::string_view name) const {
  return percent_decoded(find(name).value_or(std::string_view{})).value_or(std::string());
}

}  // namespace msp::gateway
