// SPDX-License-Identifier: Apache-2.0
#include "tests/component/sim_host.h"

#include <filesystem>

#include "gateway/master_key.h"

namespace msp::sim {
namespace {

constexpr std::size_t kMostPending = 4;  // few, so that old ones are dropped often

std::string header_of(const std::string& lines, std::string_view name) {
  const auto at = lines.find(std::string(name) + ": ");
  if (at == std::string::npos) {
    return {};
  }
  const auto begin = at + name.size() + 2;
  return lines.substr(begin, lines.find('\r', begin) - begin);
}

}  // namespace

SimHost::SimHost(std::string directory, const FakeClock& clock) : directory_(std::move(directory)), clock_(clock) {
  std::filesystem::create_directory(directory_);
  std::filesystem::permissions(directory_, std::filesystem::perms::owner_all);
  restart();
}

void SimHost::restart() {
  gateway_.reset();
  log_.reset();
  keys_.reset();
  store_.reset();
  registry_ = {};

  gateway::VmModel model;
  model.name = "vm";
  model.vm_id = "6f9619ff-8b86-4d01-b42d-00cf4fc96401";
  model.proxy_agent.enabled = enabled_;
  model.proxy_agent.key_incarnation_id = incarnation_;
  model.private_addresses = {{10, 0, 0, 4}};
  auto vm = gateway::make_vm(std::move(model), {});
  ASSERT_TRUE(vm.ok());
  ASSERT_TRUE(registry_.add(std::move(*vm)).ok());
  auto store = gateway::open_sqlite_store(directory_ + "/keys.db");
  ASSERT_TRUE(store.ok()) << store.error().text();
  store_ = std::move(*store);
  auto master = gateway::load_master_key(directory_ + "/master.key", true);
  ASSERT_TRUE(master.ok()) << master.error().text();
  auto keys = gateway::KeyRing::open(*store_, std::move(*master), registry_, clock_, kMostPending);
  ASSERT_TRUE(keys.ok()) << keys.error().text();
  keys_ = std::move(*keys);
  const std::string log = directory_ + "/access.log";
  std::filesystem::remove(log);
  log_ = std::move(*gateway::AccessLog::open(log, 4096));
  gateway_ = std::make_unique<gateway::Gateway>(loop_, buffers_, registry_, *keys_, *log_, gateway::Signers{}, clock_,
                                                config_, ++starts_);
}

Reply SimHost::handle(Service service, const test::RequestText& text) {
  const test::ParsedRequest parsed(text);
  const http::Response response = gateway_->handle({.service = service}, parsed.request());
  return {.status = response.status(),
          .body = response.body(),
          .date = header_of(response.header_lines(), protocol::kDateHeader),
          .content_type = header_of(response.header_lines(), "content-type"),
          .asks = header_of(response.header_lines(), protocol::kAsksHeader),
          .signature = header_of(response.header_lines(), protocol::kStatusSignatureHeader),
          .next_signature = header_of(response.header_lines(), protocol::kNextSignatureHeader)};
}

void SimHost::raise_incarnation() {
  ++incarnation_;
  restart();
}

void SimHost::rotate() {
  gateway::Vm& vm = *registry_.all().front();
  if (!outgoing().empty()) {
    return;
  }
  vm.model.proxy_agent.key_incarnation_id = ++incarnation_;
  auto entered = store_->change({.entered = {{.vm_id = vm.model.vm_id, .incarnation = incarnation_}}});
  ASSERT_TRUE(entered.ok()) << entered.error().text();
  keys_->rotate(vm);
  gateway_->changed(vm.model.vm_id);
}

void SimHost::enable(bool on) {
  enabled_ = on;
  restart();
}

std::string SimHost::latched() const {
  const gateway::LiveKey* key = registry_.all().front()->latched;
  return key == nullptr ? std::string() : key->guid;
}

std::string SimHost::outgoing() const {
  const gateway::LiveKey* key = keys_->outgoing(*registry_.all().front());
  return key == nullptr ? std::string() : key->guid;
}

}  // namespace msp::sim
