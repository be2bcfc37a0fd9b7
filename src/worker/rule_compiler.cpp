// SPDX-License-Identifier: Apache-2.0
#include "worker/rule_compiler.h"

#include <utility>

namespace msp::worker {
namespace {

std::shared_ptr<const policy::RuleSet> compile(const link::Rules::Set& set, policy::Matching matching) {
  using Kind = link::Rules::Kind;
  if (set.kind == Kind::kNone) {
    return nullptr;
  }
  if (set.kind == Kind::kDenyAll) {
    return policy::RuleSet::deny_all(set.id, set.text);
  }
  auto item = read_written_item(set.text);
  if (!item) {
    log::write(item.error());
    return policy::RuleSet::deny_all({}, "the worker cannot read the rules: " + item.error().text());
  }
  return policy::RuleSet::compile(*item, matching);
}

}  // namespace

std::shared_ptr<const policy::Snapshot> compile(const link::Rules& rules) {
  policy::Snapshot out;
  out.matching = rules.matching;
  out.generation = rules.generation;
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    out.rules[i] = compile(rules.sets[i], rules.matching);
  }
  return std::make_shared<const policy::Snapshot>(std::move(out));
}

RuleCompiler::RuleCompiler(Loop& loop, Done done) : loop_(loop), done_(std::move(done)), thread_([this] { run(); }) {
  running_.wait();
}

RuleCompiler::~RuleCompiler() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void RuleCompiler::want(link::Rules rules) {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = std::move(rules);
  }
  changed_.notify_one();
}

void RuleCompiler::run() {
  running_.count_down();
  for (;;) {
    link::Rules rules;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return over_ || wanted_; });
      if (over_ || !wanted_) {
        return;
      }
      rules = *std::move(wanted_);
      wanted_.reset();
    }
    loop_.post([this, compiled = compile(rules)] { done_(compiled); });
  }
}

}  // namespace msp::worker
