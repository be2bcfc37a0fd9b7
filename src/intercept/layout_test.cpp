// SPDX-License-Identifier: Apache-2.0
// bpf/layouts/N.txt is contract version N as it was given out. What is pinned cannot change without another number.
#include "intercept/layout.h"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "base/crypto.h"
#include "bpf/contract.h"
#include "intercept/takeover.h"

namespace msp::intercept {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(std::string(MSP_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Without comments.
std::string read_layout(const std::string& path) {
  std::istringstream lines(read(path));
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) {
      out += line + "\n";
    }
  }
  return out;
}

std::string layout_file(unsigned version) { return "bpf/layouts/" + std::to_string(version) + ".txt"; }

/// The header's words: what comments say and how lines break is no contract, names, values and flags are.
std::string words_of_header() {
  const std::string text = read("bpf/contract.h");
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text.compare(at, 2, "/*") == 0) {
      at = text.find("*/", at) + 2;
    } else if (std::isspace(static_cast<unsigned char>(text[at])) != 0) {
      ++at;
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::map<std::string, std::string> maps_in(const std::string& layout) {
  std::map<std::string, std::string> out;
  std::istringstream lines(layout);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("map ")) {
      const auto end = line.find(' ', 4);
      out[line.substr(4, end - 4)] = line.substr(end);
    }
  }
  return out;
}

TEST(ContractLayout, ChangesOnlyWithItsVersion) {
  auto layout = contract_layout();
  ASSERT_TRUE(layout) << layout.error().text();
  const auto digest = sha256(as_bytes(words_of_header()));
  ASSERT_TRUE(digest);
  EXPECT_EQ("header " + hex_encode(*digest) + "\n" + *layout, read_layout(layout_file(MSP_CONTRACT_VERSION)))
      << "what is pinned, or bpf/contract.h, has changed: raise MSP_CONTRACT_VERSION, say in MSP_CONTRACT_TAKES_FROM "
         "and "
         "MSP_CONTRACT_LEAVES_TO between which versions hooks go over, and record the left side as "
      << layout_file(MSP_CONTRACT_VERSION);
}

TEST(ContractLayout, VersionsThatTakeOverFromEachOtherShareTheirMaps) {
  const auto ours = maps_in(read_layout(layout_file(MSP_CONTRACT_VERSION)));
  EXPECT_EQ(ours.size(), 8U);
  for (unsigned version = std::min(MSP_CONTRACT_TAKES_FROM, MSP_CONTRACT_LEAVES_TO); version < MSP_CONTRACT_VERSION;
       ++version) {
    for (const auto& [name, shape] : maps_in(read_layout(layout_file(version)))) {
      ASSERT_TRUE(ours.contains(name)) << name << " of version " << version;
      EXPECT_EQ(shape, ours.at(name)) << name << " of version " << version;
    }
  }
}

TEST(ContractVersions, TheNewerOfTwoDecides) {
  const ContractVersion ours{.version = 5, .takes_from = 4, .leaves_to = 5};
  EXPECT_TRUE(may_take_over(ours, {.version = 5, .takes_from = 0, .leaves_to = 5}));
  EXPECT_TRUE(may_take_over(ours, {.version = 4, .takes_from = 0, .leaves_to = 4}));
  EXPECT_FALSE(may_take_over(ours, {.version = 3, .takes_from = 0, .leaves_to = 1}));
  // What this program has never heard of.
  EXPECT_TRUE(may_take_over(ours, {.version = 6, .takes_from = 0, .leaves_to = 5}));
  EXPECT_TRUE(may_take_over(ours, {.version = 9, .takes_from = 0, .leaves_to = 2}));
  EXPECT_FALSE(may_take_over(ours, {.version = 6, .takes_from = 0, .leaves_to = 6}));
}

}  // namespace
}  // namespace msp::intercept
