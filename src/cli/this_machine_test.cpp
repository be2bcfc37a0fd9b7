// SPDX-License-Identifier: Apache-2.0
#include "cli/this_machine.h"

#include "cli/test_files.h"

namespace msp::cli {
namespace {

class ThisMachineUnits : public TestFiles {
 protected:
  void unit(const std::string& folder, const std::string& name, const std::string& link = {}) {
    std::filesystem::create_directories(path(folder));
    if (link.empty()) {
      write(folder + "/" + name, "");
    } else {
      std::filesystem::create_symlink(link, path(folder) + "/" + name);
    }
  }

  /// Under which name it runs; empty: there is no such unit.
  std::string found(const std::string& name) {
    const auto unit = ThisMachine(path("")).unit(name);
    return unit.found ? unit.name : std::string();
  }

  static constexpr const char* kEtc = "etc/systemd/system";
  static constexpr const char* kLib = "usr/lib/systemd/system";
};

TEST_F(ThisMachineUnits, AreLookedForWhereSystemdLooks) {
  unit(kLib, "a.service");
  unit("lib/systemd/system", "b.socket");
  unit(kEtc, "c.service");
  unit("run/systemd/system", "d.service");
  for (const char* name : {"a.service", "b.socket", "c.service", "d.service"}) {
    EXPECT_EQ(found(name), name);
  }
  EXPECT_EQ(found("e.service"), "");
  EXPECT_EQ(found("a.socket"), "");
}

TEST_F(ThisMachineUnits, AnInstanceHasTheFileOfItsTemplate) {
  unit(kLib, "a@.service");
  EXPECT_EQ(found("a@x.service"), "a@x.service");
  EXPECT_EQ(found("b@x.service"), "");
  unit(kLib, "old@.service", "a@.service");
  EXPECT_EQ(found("old@x.service"), "a@x.service");
  unit(kEtc, "a@y.service", "/usr/lib/systemd/system/a@.service");
  EXPECT_EQ(found("a@y.service"), "a@y.service");
}

TEST_F(ThisMachineUnits, AnAliasIsALinkToAnotherName) {
  unit(kLib, "waagent.service");
  unit(kEtc, "walinuxagent.service", "/usr/lib/systemd/system/waagent.service");
  EXPECT_EQ(found("walinuxagent.service"), "waagent.service");
  // A file that lies elsewhere is no other unit.
  unit(kEtc, "app.service", "/opt/app/app.service");
  EXPECT_EQ(found("app.service"), "app.service");
  unit(kEtc, "a.service", "b.service");
  unit(kEtc, "b.service", "a.service");
  EXPECT_EQ(found("a.service"), "");
}

TEST_F(ThisMachineUnits, AMaskedOneIsNotThere) {
  unit(kLib, "a.service");
  unit(kEtc, "a.service", "/dev/null");
  EXPECT_EQ(found("a.service"), "");
}

TEST_F(ThisMachineUnits, AScriptIsNoExecutable) {
  const std::string script = write("x", "#!/bin/sh\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  EXPECT_EQ(ThisMachine().program(script), authoring::Machine::Program::kScript);
  EXPECT_EQ(ThisMachine().program("/usr/bin/env"), authoring::Machine::Program::kFound);
}

}  // namespace
}  // namespace msp::cli
