// SPDX-License-Identifier: Apache-2.0
#include "authoring/surroundings.h"

#include <fmt/core.h>

#include <initializer_list>

namespace msp::authoring {
namespace {

class Outside {
 public:
  std::vector<OuterFault> take() && { return std::move(faults_); }

  void byte_order_mark() {
    faults_.push_back({.code = "byte-order-mark",
                       .pointer = "",
                       .what = "there is a byte order mark before the text",
                       .remedy = "save it as UTF-8 without one: the agent refuses what begins so"});
  }

  /// What is no object has no members.
  void members(const json::Value* value, const std::string& pointer, std::initializer_list<std::string_view> names) {
    if (value == nullptr || value->object() == nullptr) {
      return;
    }
    json::Misfits misfits;
    json::MemberReader reader(*value, pointer, misfits);
    for (const std::string_view name : names) {
      (void)reader.optional(name);
    }
    for (const json::Misfits::Misfit& misfit : misfits.list()) {
      faults_.push_back({.code = "repeated-member",
                         .pointer = misfit.pointer,
                         .what = misfit.what,
                         .remedy = "keep one of them: what they say may differ"});
    }
  }

  void resource(const json::Value& value, const std::string& pointer) {
    members(&value, pointer, {"id", "properties"});
    members(value.find("properties"), pointer + "/properties", {"applicableHostEndpoint"});
  }

 private:
  std::vector<OuterFault> faults_;
};

void add_resources(const json::Value& tree, Outside& out) {
  if (tree.find("properties") != nullptr) {
    out.resource(tree, "");
    return;
  }
  out.members(&tree, "", {"value"});
  const json::Value* const list = tree.array() != nullptr ? &tree : tree.find("value");
  const std::string prefix = list == &tree ? "" : "/value";
  for (std::size_t i = 0; i < list->array()->size(); ++i) {
    out.resource((*list->array())[i], fmt::format("{}/{}", prefix, i));
  }
}

}  // namespace

std::vector<OuterFault> outer_faults(const RuleText& text, RuleForm form) {
  Outside out;
  if (text.has_bom() && is_of_host(form)) {
    out.byte_order_mark();
  }
  if (form == RuleForm::kArm) {
    add_resources(text.tree(), out);
  } else if (form == RuleForm::kServices) {
    out.members(&text.tree(), "", {"authorizationRules"});
  } else if (form == RuleForm::kDump) {
    out.members(&text.tree(), "", {"inputRules"});
  }
  return std::move(out).take();
}

}  // namespace msp::authoring
