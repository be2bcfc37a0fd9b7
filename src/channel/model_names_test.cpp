// SPDX-License-Identifier: Apache-2.0
// The model under docs/model and the code call the same things the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "channel/machine.h"

namespace msp::channel {
namespace {

// The names between the braces of "mtype:<kind> = { a, b };".
std::vector<std::string> names_of(const std::string& model, const std::string& kind) {
  const std::string head = "mtype:" + kind + " = {";
  const auto begin = model.find(head);
  const auto end = model.find('}', begin);
  if (begin == std::string::npos || end == std::string::npos) {
    return {};
  }
  std::string list = model.substr(begin + head.size(), end - begin - head.size());
  std::ranges::replace(list, ',', ' ');
  std::istringstream words(list);
  return {std::istream_iterator<std::string>(words), {}};
}

template <class Enum>
std::vector<std::string> names_of_code(Enum last) {
  std::vector<std::string> names;
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    std::string name(to_string(static_cast<Enum>(i)));
    std::ranges::replace(name, ' ', '_');
    names.push_back(std::move(name));
  }
  return names;
}

TEST(Model, NamesAreThoseOfTheCode) {
  std::ifstream file(MSP_SOURCE_DIR "/docs/model/latch.pml");
  const std::string model{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(names_of(model, "phase"), names_of_code(Phase::kRefused));
  EXPECT_EQ(names_of(model, "action"), names_of_code(Action::kWait));
}

}  // namespace
}  // namespace msp::channel
