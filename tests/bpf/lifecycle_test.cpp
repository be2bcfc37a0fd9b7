// SPDX-License-Identifier: Apache-2.0
// Death, restart, refusal of foreign pins, uninstall: the gate never opens by itself.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <new>
#include <optional>

#include "bpf/contract.h"
#include "intercept/cgroup.h"
#include "intercept/self_check.h"
#include "tests/bpf/lab.h"

namespace msp::lab {
namespace {

using intercept::Attached;
using intercept::Interceptor;

class Lifecycle : public testing::Test {
 protected:
  void SetUp() override {
    auto made = Lab::make();
    ASSERT_TRUE(made) << made.error().text();
    lab = std::move(*made);
  }
  int connect_as_user(const Ipv4Endpoint& to) {
    return wait_for(lab->spawn({.uid = 12001, .gid = 12001, .groups = {}}, [&to] {
      Fd fd;
      return connect_to(to, fd);
    }));
  }
  /// An agent that dies by SIGKILL once everything stands.
  void run_and_kill_agent() {
    const pid_t agent = ::fork();
    if (agent == 0) {
      auto interceptor = Interceptor::open(lab->config());
      if (!interceptor || !interceptor.value()->set_settings(Lab::settings())) {
        ::_exit(1);
      }
      auto listener = interceptor.value()->open_listener(kListener, 64);
      ::kill(listener ? ::getpid() : 0, SIGKILL);
      ::_exit(2);
    }
    ASSERT_EQ(wait_for(agent), 256 + SIGKILL);
  }
  std::unique_ptr<Lab> lab;
};

std::vector<std::uint32_t> link_ids(const Interceptor& interceptor) {
  std::vector<std::uint32_t> out;
  auto attached = interceptor.attached();
  EXPECT_TRUE(attached);
  for (const Attached& one : *attached) {
    EXPECT_NE(one.cgroup_id, 0U) << one.name;
    out.push_back(one.link_id);
  }
  return out;
}

TEST_F(Lifecycle, DeadAgentKeepsTheGateShutAndTheNextOneAdopts) {
  run_and_kill_agent();
  EXPECT_EQ(connect_as_user(kImdsEndpoint), ECONNREFUSED);
  auto interceptor = Interceptor::open(lab->config());
  ASSERT_TRUE(interceptor) << interceptor.error().text();
  EXPECT_TRUE(interceptor.value()->adopted());
  // The settings of the dead one hold until new ones come.
  EXPECT_EQ(connect_as_user(kImdsEndpoint), ECONNREFUSED);
  auto listener = interceptor.value()->open_listener(kListener, 64);
  ASSERT_TRUE(listener);
  EXPECT_EQ(connect_as_user(kImdsEndpoint), 0);
  auto accepted = accept_one(*listener);
  ASSERT_TRUE(accepted);
  identity::SocketIdentitySource source;
  EXPECT_EQ(source.identify(accepted->get())->uid, 12001U);
}

// Without the pins the kernel takes links and maps away with the process that holds them.
TEST_F(Lifecycle, PinsThatSomebodyTakesAwayArePutBackAndTheGateStaysShut) {
  for (const std::string& what : {std::string("links"), std::string("maps"), std::string()}) {
    auto interceptor = Interceptor::open(lab->config());
    ASSERT_TRUE(interceptor) << interceptor.error().text();
    ASSERT_TRUE(interceptor.value()->set_settings(Lab::settings()));
    EXPECT_FALSE(interceptor.value()->pin_again().value()) << "nothing is missing";
    const auto ids = link_ids(*interceptor.value());
    std::filesystem::path gone(lab->pin(what));
    std::filesystem::remove_all(what.empty() ? gone.parent_path() : gone);
    const auto again = interceptor.value()->pin_again();
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_TRUE(*again);
    for (const auto& one : *interceptor.value()->attached()) {
      EXPECT_TRUE(one.pinned) << one.name;
    }
    EXPECT_FALSE(interceptor.value()->pin_again().value());
    interceptor.value().reset();  // as killed
    EXPECT_EQ(connect_as_user(kImdsEndpoint), ECONNREFUSED) << what;
    auto next = Interceptor::open(lab->config());
    ASSERT_TRUE(next) << next.error().text();
    EXPECT_TRUE(next.value()->adopted());
    EXPECT_EQ(link_ids(*next.value()), ids);
    EXPECT_EQ(connect_as_user(kImdsEndpoint), ECONNREFUSED) << "the settings were pinned, too";
  }
}

TEST_F(Lifecycle, HooksThatWereUninstalledAreNotPinnedAgain) {
  auto interceptor = Interceptor::open(lab->config());
  ASSERT_TRUE(interceptor) << interceptor.error().text();
  ASSERT_TRUE(intercept::uninstall(lab->config().pin_directory));
  EXPECT_FALSE(interceptor.value()->pin_again().value());
  EXPECT_FALSE(std::filesystem::exists(lab->config().pin_directory));
}

TEST_F(Lifecycle, AdoptionKeepsTheLinks) {
  auto first = Interceptor::open(lab->config());
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_FALSE(first.value()->adopted());
  const auto ids = link_ids(*first.value());
  EXPECT_EQ(ids.size(), 8U);
  const auto programs = first.value()->attached();
  first.value().reset();
  auto second = Interceptor::open(lab->config());
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_EQ(link_ids(*second.value()), ids);
  const auto replaced = second.value()->attached();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_NE((*replaced)[i].program_id, (*programs)[i].program_id) << (*replaced)[i].name;
  }
}

// Two sets of hooks on one cgroup send each other's connects to listeners that are not theirs.
TEST_F(Lifecycle, OtherPinsOnTheSameCgroupAreRefusedBeforeAnythingIsAttached) {
  auto first = Interceptor::open(lab->config());
  ASSERT_TRUE(first) << first.error().text();
  const auto ids = link_ids(*first.value());
  auto moved = lab->config();
  moved.pin_directory = lab->config().pin_directory + "-moved";
  for (int round = 0; round < 2; ++round) {
    const auto second = Interceptor::open(moved);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EBUSY);
    EXPECT_THAT(second.error().text(), testing::HasSubstr("guard this cgroup already"));
    EXPECT_TRUE(std::filesystem::is_empty(moved.pin_directory + "/links"));
    first.value().reset();  // its hooks stay
  }
  ASSERT_TRUE(intercept::uninstall(moved.pin_directory));
  auto again = Interceptor::open(lab->config());
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(link_ids(*again.value()), ids);
}

/// Somebody else's program on the hook of a cgroup, until it goes; it lets all connects pass, or none.
class Stranger {
 public:
  Stranger(const std::string& cgroup, bool lets_pass) : cgroup_(::open(cgroup.c_str(), O_RDONLY | O_CLOEXEC)) {
    const std::array<bpf_insn, 2> program{
        bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = lets_pass ? 1 : 0},
        bpf_insn{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    bpf_prog_load_opts options{};
    options.sz = sizeof(options);
    options.expected_attach_type = BPF_CGROUP_INET4_CONNECT;
    program_ = Fd(
        ::bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "stranger", "GPL", program.data(), program.size(), &options));
    attached_ = ::bpf_prog_attach(program_.get(), cgroup_.get(), BPF_CGROUP_INET4_CONNECT, BPF_F_ALLOW_MULTI) == 0;
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  ~Stranger() { ::bpf_prog_detach2(program_.get(), cgroup_.get(), BPF_CGROUP_INET4_CONNECT); }
  bool attached() const { return attached_; }

 private:
  Fd cgroup_;
  Fd program_;
  bool attached_ = false;
};

// protocol.md L.29. Those of a cgroup run in the order in which they came, those below it first.
TEST_F(Lifecycle, SomebodyElsesProgramOnTheHookOpensNothing) {
  for (const std::string& cgroup : {lab->config().cgroup_path, lab->clients_cgroup()}) {
    for (const bool lets_pass : {true, false}) {
      for (const bool comes_first : {true, false}) {
        SCOPED_TRACE(fmt::format("{}, lets pass {}, comes first {}", cgroup, lets_pass, comes_first));
        std::optional<Stranger> stranger;
        if (comes_first) {
          stranger.emplace(cgroup, lets_pass);
        }
        auto interceptor = Interceptor::open(lab->config());
        ASSERT_TRUE(interceptor) << interceptor.error().text();
        ASSERT_TRUE(interceptor.value()->set_settings(Lab::settings()));
        if (!comes_first) {
          stranger.emplace(cgroup, lets_pass);
        }
        ASSERT_TRUE(stranger->attached());
        auto origin = interceptor.value()->open_listener(kImdsEndpoint, 64);
        auto listener = interceptor.value()->open_listener(kListener, 64);
        ASSERT_TRUE(origin && listener);
        EXPECT_EQ(connect_as_user(kImdsEndpoint), lets_pass ? 0 : EPERM);
        if (lets_pass) {
          auto accepted = accept_one(*listener);
          ASSERT_TRUE(accepted) << "it went past us";
          EXPECT_EQ(identity::SocketIdentitySource().identify(accepted->get())->uid, 12001U);
        }
        listener->reset();
        interceptor.value().reset();  // as killed
        EXPECT_EQ(connect_as_user(kImdsEndpoint), lets_pass ? ECONNREFUSED : EPERM) << "the origin would answer";
        auto next = Interceptor::open(lab->config());
        ASSERT_TRUE(next) << next.error().text();
        EXPECT_TRUE(next.value()->adopted());
        next.value().reset();
        ASSERT_TRUE(intercept::uninstall(lab->config().pin_directory));
        EXPECT_EQ(connect_as_user(kImdsEndpoint), lets_pass ? 0 : EPERM) << "only ours are gone";
      }
    }
  }
}

TEST_F(Lifecycle, NoConnectPassesWhileAgentsChange) {
  auto first = Interceptor::open(lab->config());
  ASSERT_TRUE(first) << first.error().text();
  ASSERT_TRUE(first.value()->set_settings(Lab::settings()));
  auto origin = first.value()->open_listener(kImdsEndpoint, 1024);
  ASSERT_TRUE(origin);
  struct Shared {
    std::atomic<bool> stop;
    std::atomic<unsigned> tried;
    std::atomic<unsigned> passed;
  };
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* shared = new (memory) Shared{};  // NOLINT: shared memory of parent and prober
  const pid_t prober = lab->spawn({.uid = 12001, .gid = 12001, .groups = {}}, [shared] {
    while (!shared->stop) {
      Fd fd;
      ++shared->tried;
      shared->passed += connect_to(kImdsEndpoint, fd) == ECONNREFUSED ? 0 : 1;
    }
    return 0;
  });
  for (int i = 0; i < 20; ++i) {
    first.value().reset();
    first = Interceptor::open(lab->config());
    ASSERT_TRUE(first) << first.error().text();
    ASSERT_TRUE(first.value()->set_settings(Lab::settings()));
  }
  shared->stop = true;
  EXPECT_EQ(wait_for(prober), 0);
  EXPECT_GT(shared->tried, 1000U);
  EXPECT_EQ(shared->passed, 0U);
  ::munmap(memory, sizeof(Shared));
}

TEST_F(Lifecycle, OtherCgroupIsAttachedBeforeTheOldOneIsLeft) {
  auto first = Interceptor::open(lab->config());
  ASSERT_TRUE(first) << first.error().text();
  const auto before = link_ids(*first.value());
  first.value().reset();
  auto config = lab->config();
  config.agent_cgroup_path = config.cgroup_path;
  auto second = Interceptor::open(config);
  ASSERT_TRUE(second) << second.error().text();
  const auto after = link_ids(*second.value());
  EXPECT_NE(after[0], before[0]);
  EXPECT_EQ(std::vector(after.begin() + 1, after.end()), std::vector(before.begin() + 1, before.end()));
  EXPECT_EQ((*second.value()->attached())[0].cgroup_id, *intercept::cgroup_id(config.cgroup_path));
}

TEST_F(Lifecycle, AgentCgroupThatIsGoneIsReplaced) {
  const std::string gone = lab->config().cgroup_path + "/gone";
  ASSERT_EQ(::mkdir(gone.c_str(), 0755), 0);
  auto config = lab->config();
  config.agent_cgroup_path = gone;
  ASSERT_TRUE(Interceptor::open(config));
  ASSERT_EQ(::rmdir(gone.c_str()), 0);
  auto interceptor = Interceptor::open(lab->config());
  ASSERT_TRUE(interceptor) << interceptor.error().text();
  ASSERT_TRUE(interceptor.value()->set_settings(Lab::settings()));
  auto listener = interceptor.value()->open_listener(kListener, 64);
  ASSERT_TRUE(listener);
  identity::SocketIdentitySource source;
  auto tested = intercept::self_check(*listener, kListener, source);
  EXPECT_TRUE(tested) << tested.error().text();
}

/// Writes whose pins they are, as another program would have.
void claim_for(const Fd& settings, std::uint32_t version, std::uint32_t leaves_to) {
  const std::uint32_t key = 0;
  msp_settings value{};
  ASSERT_EQ(::bpf_map_lookup_elem(settings.get(), &key, &value), 0);
  value.version = version;
  value.leaves_to = leaves_to;
  ASSERT_EQ(::bpf_map_update_elem(settings.get(), &key, &value, BPF_ANY), 0);
}

TEST_F(Lifecycle, ForeignContractVersionIsRefusedAndStaysAttached) {
  run_and_kill_agent();
  const Fd settings(::bpf_obj_get(lab->pin("maps/settings").c_str()));
  for (const std::uint32_t version : {MSP_CONTRACT_TAKES_FROM - 1, MSP_CONTRACT_VERSION + 1}) {
    claim_for(settings, version, version);
    auto refused = Interceptor::open(lab->config());
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), testing::HasSubstr(fmt::format("contract version {},", version)));
    EXPECT_THAT(refused.error().text(), testing::HasSubstr("after a reboot"));
    EXPECT_FALSE(intercept::check_hooks(lab->config().pin_directory));
    EXPECT_EQ(connect_as_user(kImdsEndpoint), ECONNREFUSED);
  }
  claim_for(settings, MSP_CONTRACT_VERSION, MSP_CONTRACT_LEAVES_TO);
  EXPECT_TRUE(intercept::check_hooks(lab->config().pin_directory));
  EXPECT_TRUE(Interceptor::open(lab->config()));
}

TEST_F(Lifecycle, AllowedContractVersionsAreTakenOverAndNotedBeforeAnythingElse) {
  run_and_kill_agent();
  const Fd settings(::bpf_obj_get(lab->pin("maps/settings").c_str()));
  for (const auto& [version, leaves_to] :
       {std::pair(MSP_CONTRACT_TAKES_FROM, 0U), std::pair(MSP_CONTRACT_VERSION + 7, MSP_CONTRACT_VERSION)}) {
    claim_for(settings, version, leaves_to);
    auto taken = Interceptor::open(lab->config());
    ASSERT_TRUE(taken) << taken.error().text();
    EXPECT_TRUE(taken.value()->adopted());
    const std::uint32_t key = 0;
    msp_settings value{};
    ASSERT_EQ(::bpf_map_lookup_elem(settings.get(), &key, &value), 0);
    EXPECT_EQ(value.version, MSP_CONTRACT_VERSION);
    EXPECT_EQ(value.leaves_to, MSP_CONTRACT_LEAVES_TO);
    EXPECT_GT(value.guarded_count, 0U);
    EXPECT_EQ(connect_as_user(kImdsEndpoint), ECONNREFUSED) << "still guarded, though nobody has said so again";
  }
}

TEST_F(Lifecycle, MapsOfAnotherShapeAreRefusedWhateverTheVersionSays) {
  run_and_kill_agent();
  for (const char* name : {"in_flight", "counters", "settings"}) {
    const std::string path = lab->pin(std::string("maps/") + name);
    const Fd right(::bpf_obj_get(path.c_str()));
    ASSERT_EQ(::unlink(path.c_str()), 0);
    const Fd wrong(::bpf_map_create(BPF_MAP_TYPE_HASH, name, 4, 4, 7, nullptr));
    ASSERT_EQ(::bpf_obj_pin(wrong.get(), path.c_str()), 0);
    auto refused = Interceptor::open(lab->config());
    ASSERT_FALSE(refused) << name;
    EXPECT_THAT(refused.error().text(), testing::HasSubstr(path));
    EXPECT_EQ(connect_as_user(kImdsEndpoint), ECONNREFUSED);
    ASSERT_EQ(::unlink(path.c_str()), 0);
    ASSERT_EQ(::bpf_obj_pin(right.get(), path.c_str()), 0);
  }
  EXPECT_TRUE(Interceptor::open(lab->config()));
}

TEST_F(Lifecycle, AHookThatIsNotKnownIsRefused) {
  run_and_kill_agent();
  const std::string foreign = lab->pin("links/egress");
  const Fd link(::bpf_obj_get(lab->pin("links/bind4").c_str()));
  ASSERT_EQ(::bpf_obj_pin(link.get(), foreign.c_str()), 0);
  auto refused = Interceptor::open(lab->config());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), testing::HasSubstr(foreign));
  // Of a start that died before the rename.
  ASSERT_EQ(::rename(foreign.c_str(), lab->pin("links/bind4_new").c_str()), 0);
  EXPECT_TRUE(Interceptor::open(lab->config()));
}

TEST_F(Lifecycle, ListenerOutsideTheAgentsCgroupFailsTheSelfTest) {
  auto interceptor = Interceptor::open(lab->config());
  ASSERT_TRUE(interceptor) << interceptor.error().text();
  ASSERT_TRUE(interceptor.value()->set_settings(Lab::settings()));
  ASSERT_TRUE(join_cgroup(lab->clients_cgroup()));
  auto listener = interceptor.value()->open_listener(kListener, 64);
  ASSERT_TRUE(join_cgroup(lab->config().agent_cgroup_path));
  ASSERT_TRUE(listener);
  identity::SocketIdentitySource source;
  auto tested = intercept::self_check(*listener, kListener, source);
  ASSERT_FALSE(tested);
  EXPECT_NE(tested.error().text().find("no record"), std::string::npos) << tested.error().text();
}

TEST_F(Lifecycle, UninstallRemovesEverything) {
  run_and_kill_agent();
  auto running = Interceptor::open(lab->config());
  ASSERT_TRUE(running) << running.error().text();
  auto origin = running.value()->open_listener(kImdsEndpoint, 64);
  ASSERT_TRUE(origin);
  EXPECT_EQ(connect_as_user(kImdsEndpoint), ECONNREFUSED);
  auto removed = intercept::uninstall(lab->config().pin_directory);
  ASSERT_TRUE(removed) << removed.error().text();
  // Detached although an agent still holds the links.
  EXPECT_EQ(connect_as_user(kImdsEndpoint), 0);
  EXPECT_FALSE(std::filesystem::exists(lab->config().pin_directory));
  EXPECT_TRUE(intercept::uninstall(lab->config().pin_directory)) << "nothing there is no error";
}

TEST_F(Lifecycle, PinDirectoryMustBeOursAndOnABpfFileSystem) {
  auto config = lab->config();
  config.pin_directory = lab->directory() + "/pins";
  auto refused = Interceptor::open(config);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("mount -t bpf"), std::string::npos) << refused.error().text();
  EXPECT_FALSE(std::filesystem::exists(config.pin_directory));
  EXPECT_FALSE(intercept::uninstall(lab->directory()));
  config.pin_directory = lab->config().pin_directory;
  ASSERT_EQ(::mkdir(config.pin_directory.c_str(), 0700), 0);
  ASSERT_EQ(::chown(config.pin_directory.c_str(), 12666, 12666), 0);
  refused = Interceptor::open(config);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("only this user"), std::string::npos) << refused.error().text();
}

TEST_F(Lifecycle, UnprivilegedStartSaysWhatIsMissing) {
  const int status = wait_for(lab->spawn({.uid = 12001, .gid = 12001, .groups = {}}, [this] {
    auto refused = Interceptor::open(lab->config());
    return !refused && refused.error().text().find("CAP_BPF") != std::string::npos ? 0 : 1;
  }));
  EXPECT_EQ(status, 0);
}

TEST_F(Lifecycle, SettingsThatCannotBeAreRefused) {
  auto interceptor = Interceptor::open(lab->config());
  ASSERT_TRUE(interceptor) << interceptor.error().text();
  auto settings = Lab::settings();
  settings.guarded[0].listener = 1;
  EXPECT_FALSE(interceptor.value()->set_settings(settings));
  settings = Lab::settings();
  settings.listeners[0].port = 0;
  EXPECT_FALSE(interceptor.value()->set_settings(settings));
  settings = Lab::settings();
  settings.guarded.resize(MSP_MAX_GUARDED + 1);
  EXPECT_FALSE(interceptor.value()->set_settings(settings));
}

}  // namespace
}  // namespace msp::lab
