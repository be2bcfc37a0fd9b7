// SPDX-License-Identifier: Apache-2.0
#include "agent/machine_check.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>
#include <utility>

#include "agent/config.h"
#include "agent/setup_files.h"
#include "agent/system_service.h"
#include "agent/worker_process.h"
#include "base/file.h"
#include "intercept/cgroup.h"
#include "intercept/hooks_trial.h"
#include "intercept/interceptor.h"
#include "intercept/pins.h"
#include "rules/local_files.h"

namespace msp::agent {
namespace {

using status::Check;
using status::Verdict;

constexpr std::string_view kExtensions = "/var/lib/waagent";
constexpr std::string_view kExtensionName = "Microsoft.CPlat.ProxyAgent";

class Examination {
 public:
  std::vector<Check> run(const std::optional<std::string>& config_path) {
    configuration(config_path);
    kernel();
    cgroups();
    hooks();
    keys();
    local_rules();
    control_socket();
    other_agents();
    service();
    return std::move(checks_);
  }

 private:
  void ok(std::string_view name, std::string what) {
    checks_.push_back({std::string(name), Verdict::kOk, std::move(what)});
  }
  void add(std::string_view name, Verdict verdict, std::string what, std::string remedy) {
    checks_.push_back({std::string(name), verdict, std::move(what), std::move(remedy)});
  }
  void failure(std::string_view name, Error error, std::string_view remedy = "see the message") {
    std::string hint = std::exchange(error.hint, {});
    add(name, Verdict::kFailure, error.text(), hint.empty() ? std::string(remedy) : std::move(hint));
  }

  void configuration(const std::optional<std::string>& path) {
    auto read = load_config(path, process_environment());
    if (!read) {
      failure("configuration", std::move(read).error(), "mend the file, or name another with --config");
      return;
    }
    config_ = *std::move(read);
    have_config_ = true;
    if (auto user = worker_user(config_.worker_user); !user) {
      failure("configuration", std::move(user).error());
      return;
    }
    for (const std::string& warning : config_.warnings) {
      add("configuration", Verdict::kWarning, warning, "mend it: docs/configuration.md");
    }
    if (config_.warnings.empty()) {
      ok("configuration", path.value_or("of the usual place") + " can be read");
    }
  }

  void kernel() {
    auto tried = intercept::try_programs();
    if (!tried) {
      failure("kernel", std::move(tried).error(), "Linux 5.15 or newer with BPF, BTF and cgroup v2 is needed");
      return;
    }
    ok("kernel", "takes the programs that guard (tried, and not attached)");
    if (!tried->executables) {
      add("kernel", Verdict::kWarning, "it cannot tell which file an executable is",
          "rules with exePath match nothing before Linux 5.14; name users, groups or units instead");
    }
  }

  void cgroups() {
    auto guarded = config_.cgroup ? Result(*config_.cgroup) : intercept::cgroup2_root();
    if (!guarded) {
      failure("cgroup", std::move(guarded).error());
      return;
    }
    for (const std::string& path : {*guarded, config_.agent_cgroup.value_or(*guarded)}) {
      if (auto opened = intercept::open_cgroup(path); !opened) {
        failure("cgroup", std::move(opened).error());
        return;
      }
    }
    if (config_.agent_cgroup && !lies_below(*config_.agent_cgroup, *guarded)) {
      add("cgroup", Verdict::kFailure,
          fmt::format("the agent's cgroup {} does not lie below the guarded one, {}", *config_.agent_cgroup, *guarded),
          "set /openmsp/agentCgroup to one below /openmsp/cgroup");
      return;
    }
    ok("cgroup", fmt::format("{} is one of the unified hierarchy", *guarded));
  }

  static bool lies_below(const std::string& path, const std::string& parent) {
    return path == parent || path.starts_with(parent.ends_with('/') ? parent : parent + "/");
  }

  void hooks() {
    if (auto done = intercept::check_hooks(config_.bpf_pin_directory); !done) {
      failure("pinned hooks", std::move(done).error());
    } else if (::access(config_.bpf_pin_directory.c_str(), F_OK) == 0) {
      ok("pinned hooks",
         fmt::format("in {}, ours, and of a version that this program may take over", config_.bpf_pin_directory));
    } else if (!intercept::on_bpf_file_system(config_.bpf_pin_directory)) {
      add("pinned hooks", Verdict::kFailure,
          fmt::format("{} would not lie on a bpf file system: hooks could not outlive the agent",
                      config_.bpf_pin_directory),
          "mount -t bpf bpf /sys/fs/bpf, or name a folder on one as /openmsp/bpfPinDirectory in the configuration");
    } else {
      ok("pinned hooks", fmt::format("none in {} yet", config_.bpf_pin_directory));
    }
  }

  void keys() {
    if (!have_config_ || ::access(config_.latch_key_folder.c_str(), F_OK) != 0) {
      return;  // the first start makes it
    }
    // It is there: it is looked at, not made.
    if (auto folder = file::ensure_directory(config_.latch_key_folder, 0700); !folder) {
      failure("key files", std::move(folder).error());
      return;
    }
    auto names = file::list(config_.latch_key_folder);
    if (!names) {
      failure("key files", std::move(names).error());
      return;
    }
    std::size_t good = 0;
    bool bad = false;
    for (const std::string& name : *names) {
      if (!name.ends_with(".key")) {
        continue;
      }
      const std::string path = fmt::format("{}/{}", config_.latch_key_folder, name);
      if (auto opened = file::open_checked(path, file::private_state()); !opened) {
        failure("key files", std::move(opened).error());
        bad = true;
      } else {
        ++good;
      }
    }
    if (!bad) {
      ok("key files", fmt::format("{} in {}, for their owner alone", good, config_.latch_key_folder));
    }
  }

  void local_rules() {
    if (!have_config_) {
      return;
    }
    const std::string folder = config_.rules_folder();
    rules::LocalDirectory files(folder);
    std::size_t good = 0;
    bool bad = false;
    for (const Service service : {Service::kImds, Service::kWireServer}) {
      const rules::LocalRules found = files.load(service);
      if (found.state == rules::LocalRules::State::kFailed) {
        add("local rules", Verdict::kFailure, found.failure,
            "mend the file, or remove it: where the host wants local rule files, everything is denied by it");
        bad = true;
      }
      good += found.state == rules::LocalRules::State::kValid ? 1 : 0;
    }
    if (!bad) {
      ok("local rules", fmt::format("{} files in {}, fit for use", good, folder));
    }
  }

  void control_socket() {
    struct stat info{};
    if (!have_config_ || ::lstat(config_.control_socket.c_str(), &info) != 0) {
      return;  // no agent runs: it makes one
    }
    if (!S_ISSOCK(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 0077) != 0) {
      add("control socket", Verdict::kFailure,
          fmt::format("{} is not the socket of mode 0600 that the agent makes", config_.control_socket),
          "find out who has changed it, and restart the agent: it makes another");
      return;
    }
    ok("control socket", fmt::format("{} is for root alone", config_.control_socket));
  }

  void other_agents() {
    const Root machine("");
    if (machine.field_name_holder() == Root::Holder::kAnother) {
      add("other agents", Verdict::kFailure, fmt::format("another agent is at {}", kFieldProgram),
          "it and this one would take turns: 'msp-agent setup install' or reinstalling the package brings this one "
          "back");
      return;
    }
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(kExtensions, none)) {
      if (entry.path().filename().string().starts_with(kExtensionName)) {
        add("other agents", Verdict::kWarning, fmt::format("the VM extension {} is installed", entry.path().string()),
            "it may put the existing agent in this one's place, or restore it; remove the extension from the machine's "
            "model where this agent is to stay");
        return;
      }
    }
    ok("other agents", "none");
  }

  void service() {
    const Root machine("");
    if (!systemd_runs(machine)) {
      add("service", Verdict::kWarning, "systemd does not run here: nobody starts the agent again",
          "start /usr/sbin/msp-agent by the service manager of this system");
      return;
    }
    if (auto enabled = systemctl(machine, {"--quiet", "is-enabled", "msp-agent.service"}); !enabled) {
      add("service", Verdict::kWarning, "msp-agent.service is not enabled: it does not start with the machine",
          "systemctl enable msp-agent");
      return;
    }
    ok("service", "msp-agent.service is enabled");
  }

  Config config_;
  bool have_config_ = false;
  std::vector<Check> checks_;
};

}  // namespace

std::vector<Check> check_machine(const std::optional<std::string>& config_path) {
  return Examination().run(config_path);
}

}  // namespace msp::agent
