// SPDX-License-Identifier: Apache-2.0
// Machines that move between two hosts, each with a store and a master key of its own.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "gateway/asking.h"
#include "gateway/inventory.h"

namespace msp::gateway {
namespace {

using testing::HasSubstr;

const std::string kVm = "6f9619ff-8b86-4d01-b42d-00cf4fc96401";
const ResourceName kName{.kind = ResourceKind::kVirtualMachine, .key = kVm};

std::string machine(std::uint32_t incarnation = 1) {
  return fmt::format(
      R"({{"name":"vm-1", "more" : 1.0e2,"properties":{{"vmId":"{}","securityProfile":{{"proxyAgentSettings":)"
      R"({{"enabled":true,"keyIncarnationId":{}}}}}}}}})",
      kVm, incarnation);
}

struct Host {
  explicit Host(char master) {
    std::string pattern = testing::TempDir() + "inventory_move_XXXXXX";
    directory = ::mkdtemp(pattern.data());
    inventory = *Inventory::load(Config());
    store = *open_sqlite_store(directory + "/host.db");
    EXPECT_TRUE(inventory->open(*store).ok());
    keys = *KeyRing::open(*store, Secret::copy_of(std::string_view(std::string(32, master))), inventory->registry(),
                          clock, 4);
    inventory->attach(*keys, [](const std::string&) {});
  }
  ~Host() {
    keys.reset();
    inventory.reset();
    store.reset();
    std::filesystem::remove_all(directory);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void apply(std::uint32_t incarnation = 1) {
    const auto outcome =
        inventory->apply({{.text = machine(incarnation), .addresses = std::vector<Ipv4Address>{{10, 0, 0, 1}}}}, false);
    EXPECT_TRUE(outcome.ok() && outcome->faults.empty());
  }
  std::string latch() {
    Vm& vm = *inventory->registry().find_by_id(kVm);
    auto issued = keys->issue(vm);
    EXPECT_TRUE(issued.ok() && issued->has_value());
    EXPECT_TRUE(keys->latch(vm, (*issued)->guid).ok());
    return (*issued)->guid;
  }
  LiveKey* latched() const {
    const Vm* vm = inventory->registry().find_by_id(kVm);
    return vm == nullptr ? nullptr : vm->latched;
  }
  MovedMachine depart(const Host& to) const {
    auto departure = inventory->depart(kName, *to.inventory->recipient());
    EXPECT_TRUE(departure.ok() && departure->outcome.faults.empty());
    // As it is carried.
    auto carried = parse_moved_machine(moved_machine_json(departure->machine));
    EXPECT_TRUE(carried) << carried.error().text();
    return carried ? std::move(*carried) : MovedMachine{};
  }
  /// Empty: it is here now. Else the first fault.
  std::string arrive(const MovedMachine& moved) const {
    const auto outcome = inventory->arrive(moved, std::nullopt);
    EXPECT_TRUE(outcome.ok()) << outcome.error().text();
    return outcome->faults.empty() ? "" : outcome->faults.front().problem;
  }

  SystemClock clock;
  std::string directory;
  std::unique_ptr<HostStore> store;
  std::unique_ptr<Inventory> inventory;
  std::unique_ptr<KeyRing> keys;
};

TEST(InventoryMove, TheKeyGoesWithTheMachineAndIsDeadWhereItWas) {
  Host a('a');
  Host b('b');
  a.apply();
  const std::string guid = a.latch();
  const auto before = a.latched()->mac.sign("text");
  const MovedMachine moved = a.depart(b);
  EXPECT_EQ(moved.moves, 1U);
  EXPECT_EQ(moved.model, machine());
  EXPECT_EQ(a.inventory->registry().find_by_id(kVm), nullptr);
  EXPECT_EQ(a.keys->find(guid), nullptr);
  EXPECT_TRUE(a.store->load()->empty());
  EXPECT_EQ(b.arrive(moved), "");
  ASSERT_NE(b.latched(), nullptr);
  EXPECT_EQ(b.latched()->guid, guid);
  EXPECT_EQ(*b.latched()->mac.sign("text"), *before) << "the same key";
  EXPECT_EQ(b.inventory->registry().find({10, 0, 0, 1})->model.vm_id, kVm) << "where it came from, too";
  EXPECT_FALSE(b.keys->issue(*b.inventory->registry().find_by_id(kVm))->has_value()) << "it is latched";
}

TEST(InventoryMove, ItMayComeBackButNothingThatHasBeenSurpassed) {
  Host a('a');
  Host b('b');
  a.apply();
  const std::string guid = a.latch();
  const MovedMachine first = a.depart(b);
  EXPECT_EQ(b.arrive(first), "");
  EXPECT_THAT(b.arrive(first), HasSubstr("here already"));
  const MovedMachine second = b.depart(a);
  EXPECT_THAT(b.arrive(first), HasSubstr("this is move 1 of the machine, and 2 have been seen here"));
  EXPECT_EQ(a.arrive(second), "");
  EXPECT_EQ(a.latched()->guid, guid);
  const MovedMachine third = a.depart(b);
  EXPECT_THAT(a.arrive(second), HasSubstr("have been seen here"));
  EXPECT_EQ(b.arrive(third), "");
}

TEST(InventoryMove, EachArrivalHasAnEpochOfItsOwn) {
  Host a('a');
  Host b('b');
  a.apply();
  a.latch();
  const Asking asking{.replay = ReplayProtection::kOffered, .epoch = 0xE};
  const auto epoch = [&] { return *asking.of(*a.inventory->registry().find_by_id(kVm)).epoch; };
  const std::uint64_t first = epoch();
  EXPECT_EQ(b.arrive(a.depart(b)), "");
  EXPECT_EQ(a.arrive(b.depart(a)), "");
  const std::uint64_t second = epoch();
  EXPECT_NE(second, first) << "what was signed before is stale: which of it was used is forgotten";
  a.apply();
  EXPECT_EQ(epoch(), second) << "a change of the model is no arrival";
}

// What is closed, and how often its key was reset, its scale set says.
TEST(InventoryMove, AnInstanceComesAfterItsScaleSet) {
  Host a('a');
  Host b('b');
  const std::string set = R"({"name":"web","id":"/s/virtualMachineScaleSets/web","properties":{"virtualMachineProfile":{
      "securityProfile":{"proxyAgentSettings":{"enabled":true,"keyIncarnationId":3}}}}})";
  const std::string instance = fmt::format(
      R"({{"name":"web_0","id":"/s/virtualMachineScaleSets/web/virtualMachines/0","properties":{{"vmId":"{}"}}}})",
      kVm);
  ASSERT_TRUE(a.inventory->apply({{.text = set}}, false)->faults.empty());
  ASSERT_TRUE(a.inventory->apply({{.text = instance, .addresses = std::vector<Ipv4Address>{{10, 0, 0, 1}}}}, false)
                  ->faults.empty());
  const std::string guid = a.latch();
  const MovedMachine moved = a.depart(b);
  EXPECT_THAT(b.arrive(moved), HasSubstr("its scale set /s/virtualmachinescalesets/web is not here"));
  EXPECT_EQ(b.inventory->registry().find_by_id(kVm), nullptr);
  ASSERT_TRUE(b.inventory->apply({{.text = set}}, false)->faults.empty());
  EXPECT_EQ(b.arrive(moved), "") << "the same file";
  ASSERT_NE(b.latched(), nullptr);
  EXPECT_EQ(b.latched()->guid, guid);
}

TEST(InventoryMove, AfterAResetAnOlderExportBringsNothingBack) {
  Host a('a');
  Host b('b');
  a.apply();
  a.latch();
  const MovedMachine moved = a.depart(b);
  a.apply(2);
  const std::string guid = a.latch();
  EXPECT_NE(a.arrive(moved), "");
  EXPECT_EQ(a.latched()->guid, guid);
}

TEST(InventoryMove, OnlyWhatWasExportedForThisHostAndOnlyUnchanged) {
  Host a('a');
  Host b('b');
  Host c('c');
  a.apply();
  a.latch();
  const MovedMachine moved = a.depart(b);
  EXPECT_THAT(c.arrive(moved), HasSubstr("sealed for another host"));
  const auto changed = [&](auto&& change) {
    MovedMachine other = moved;
    change(other);
    return b.arrive(other);
  };
  EXPECT_THAT(changed([](MovedMachine& m) { m.moves = 7; }), HasSubstr("changed"));
  EXPECT_THAT(changed([](MovedMachine& m) { m.key->issued += "x"; }), HasSubstr("changed"));
  EXPECT_THAT(changed([](MovedMachine& m) { m.key->guid[0] = m.key->guid[0] == 'a' ? 'b' : 'a'; }),
              HasSubstr("changed"));
  EXPECT_THAT(changed([](MovedMachine& m) { m.key->sealed[40] ^= 1; }), HasSubstr("changed"));
  EXPECT_THAT(changed([](MovedMachine& m) { m.model += " "; }), HasSubstr("changed"));
  EXPECT_THAT(changed([](MovedMachine& m) { m.vm_id.back() = '2'; }), HasSubstr("not that of this machine"));
  EXPECT_THAT(changed([](MovedMachine& m) { m.incarnation = 2; }), HasSubstr("not that of this machine"));
  EXPECT_EQ(b.inventory->registry().all().size(), 0U) << "nothing of it has happened";
  EXPECT_EQ(b.arrive(moved), "");
}

TEST(InventoryMove, WhatDeadKeysSignedTheStatusWithGoesAlong) {
  Host a('a');
  Host b('b');
  Host c('c');
  a.apply();
  const std::string first = a.latch();
  a.apply(2);
  a.latch();
  const auto sign = [&](const Host& host) {
    return host.keys->sign_status(*host.inventory->registry().find_by_id(kVm), first, {}, {.nonce = "n", .body = "{}"});
  };
  const auto before = sign(a);
  ASSERT_TRUE(before && before->has_value());
  EXPECT_EQ(b.arrive(a.depart(b)), "");
  EXPECT_EQ(*sign(b), *before);
  EXPECT_EQ(b.keys->find(first), nullptr) << "the key itself stays dead";
  MovedMachine moved = b.depart(c);
  ASSERT_EQ(moved.signers.size(), 1U);
  MovedMachine swapped = moved;
  swapped.key->sealed = moved.signers[0].sealed;
  EXPECT_THAT(c.arrive(swapped), HasSubstr("changed")) << "one is not taken for the other";
  EXPECT_EQ(c.arrive(moved), "");
  EXPECT_EQ(*sign(c), *before);
}

TEST(InventoryMove, AMachineWithoutALatchMovesWithoutAKey) {
  Host a('a');
  Host b('b');
  a.apply();
  const MovedMachine moved = a.depart(b);
  EXPECT_FALSE(moved.key.has_value());
  EXPECT_EQ(b.arrive(moved), "");
  EXPECT_EQ(b.latched(), nullptr);
  b.latch();
}

TEST(InventoryMove, TheIncarnationCannotFall) {
  Host a('a');
  Host b('b');
  b.apply(5);
  ASSERT_TRUE(b.inventory->remove(kName).ok());
  a.apply(4);
  a.latch();
  EXPECT_THAT(b.arrive(a.depart(b)), HasSubstr("lower than before"));
}

TEST(InventoryMove, ItIsHeardInTheNetworkThatItIsGivenHereAlone) {
  Host a('a');
  Host b('b');
  a.apply(1);
  const MovedMachine moved = a.depart(b);
  const auto outcome = b.inventory->arrive(moved, std::nullopt, "br-no-listener");
  ASSERT_TRUE(outcome.ok());
  ASSERT_FALSE(outcome->faults.empty());
  EXPECT_THAT(outcome->faults.front().problem, HasSubstr("no listener has the interface br-no-listener"));
  EXPECT_EQ(b.arrive(moved), "");
}

TEST(MovedMachineText, AnotherFormIsRefused) {
  const std::string good = moved_machine_json({.vm_id = kVm, .incarnation = 1, .moves = 1, .model = machine()});
  ASSERT_TRUE(parse_moved_machine(good)) << good;
  for (const auto& [from, to] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {R"("openmspMove":2)", R"("openmspMove":1)"},
           {R"("moves":1)", R"("moves":0)"},
           {R"("moves":1)", R"("moves":4294967296)"},
           {R"("key":null)", R"("key":{"guid":"x","issued":"","sealed":""})"},
           {R"("key":null)", R"("key":7)"},
           {R"("signers":[])", R"("signers":[{}])"},
           {R"("sourceAddresses":[])", R"("sourceAddresses":["x"])"},
           {R"("sourceAddresses":[])", R"("sourceAddresses":[],"unknown":1)"},
           {R"("resource")", R"("Resource")"}}) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    EXPECT_FALSE(parse_moved_machine(bad)) << bad;
  }
}

}  // namespace
}  // namespace msp::gateway
