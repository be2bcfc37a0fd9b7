// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <numeric>
#include <tuple>
#include <vector>

#include "base/json.h"
#include "cli/live_process.h"
#include "cli/policy_common.h"
#include "cli/test_files.h"

namespace msp::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kRules = R"({"imds":{"defaultAccess":"deny","mode":"enforce","id":"v3","rules":{
  "privileges":[{"name":"token","path":"/metadata/identity/oauth2/token","queryParameters":{"resource":"vault"}}],
  "roles":[{"name":"reader","privileges":["token"]}],
  "identities":[{"name":"app","userName":"svc","exePath":"/opt/app"}],
  "roleAssignments":[{"role":"reader","identities":["app"]}]}}})";
const std::string kUrl = "http://169.254.169.254/metadata/identity/oauth2/token?resource=vault";

class PolicyExplain : public TestFiles {
 protected:
  Outcome explain(std::vector<std::string> more) {
    more.insert(more.begin(), {"explain", "--rules", rules});
    return policy(std::move(more));
  }
  std::string rules = write("rules.json", kRules);
};

TEST_F(PolicyExplain, PermitAndDenyDifferInTheOneThingThatIsNamed) {
  const Outcome denied = explain({"--as", "svc", "--exe", "/usr/bin/curl", "GET", kUrl});
  EXPECT_EQ(denied.code, kExitFindings) << denied.err;
  EXPECT_THAT(denied.out, HasSubstr("DENY 403 identity_mismatch"));
  EXPECT_THAT(denied.out, HasSubstr("MISSED  exePath: wanted /opt/app, found /usr/bin/curl"));
  const Outcome permitted = explain({"--as", "svc", "--exe", "/opt/app", "GET", kUrl});
  EXPECT_EQ(permitted.code, kExitOk);
  EXPECT_THAT(permitted.out, HasSubstr(R"(PERMIT by privilege "token", role "reader", identity "app")"));
  EXPECT_THAT(permitted.out, HasSubstr("canonical  /metadata/identity/oauth2/token  resource=vault"));
}

TEST_F(PolicyExplain, BothMatchersAreShownWhereTheyDiffer) {
  const std::string url = "http://169.254.169.254/metadata/identity/oauth2/tokens?resource=vault";
  const Outcome strict = explain({"--as", "svc", "--exe", "/opt/app", "GET", url});
  EXPECT_EQ(strict.code, kExitFindings);
  EXPECT_THAT(strict.out, HasSubstr("legacy matching would decide differently: allow"));
  const Outcome legacy = explain({"--as", "svc", "--exe", "/opt/app", "--matching", "shadow", "GET", url});
  EXPECT_EQ(legacy.code, kExitOk);
  EXPECT_THAT(legacy.out, HasSubstr("canonical matching would decide differently: deny"));
  EXPECT_THAT(explain({"--as", "svc", "--exe", "/opt/app", "GET", kUrl}).out, Not(HasSubstr("differently")));
}

TEST_F(PolicyExplain, PathsThatTheAgentAnswersAtItsListenerAreThoseOfTheServiceHere) {
  for (const std::string path : {"/provision", "/gpa-aggregated-status"}) {
    const Outcome outcome = explain({"--as", "root", "GET", "http://169.254.169.254" + path});
    EXPECT_EQ(outcome.code, kExitFindings) << path;
    EXPECT_THAT(outcome.out, HasSubstr("DENY 403 no_rule")) << path;
  }
}

TEST_F(PolicyExplain, ProgramsGetTheSameAsAnObject) {
  const Outcome outcome = explain({"--json", "--as", "svc", "--uid", "7", "--exe", "/x", "GET", kUrl});
  const auto shown = json::parse(outcome.out);
  ASSERT_TRUE(shown.ok()) << outcome.out;
  EXPECT_EQ(*shown->find("outcome")->string(), "deny");
  EXPECT_EQ(shown->find("status")->int64(), 403);
  EXPECT_EQ(*shown->at("/missedField")->string(), "exePath");
  EXPECT_EQ(*shown->at("/canonical/rules/0/checks/3/wanted")->string(), "/opt/app");
  EXPECT_EQ(*shown->at("/request/canonical/segments/2")->string(), "oauth2");
  EXPECT_EQ(shown->at("/caller/uid")->int64(), 7);
}

/// One privilege that `count` identities hold.
std::string held_by(std::size_t count) {
  std::string identities;
  std::string names;
  for (std::size_t i = 0; i < count; ++i) {
    identities += fmt::format(R"({}{{"name":"i{}","userName":"u{}"}})", i == 0 ? "" : ",", i, i);
    names += fmt::format(R"({}"i{}")", i == 0 ? "" : ",", i);
  }
  return R"({"defaultAccess":"deny","mode":"enforce","id":"v1","rules":{"privileges":[{"name":"p","path":"/p"}],
    "roles":[{"name":"r","privileges":["p"]}],"identities":[)" +
         identities + R"(],"roleAssignments":[{"role":"r","identities":[)" + names + "]}]}}";
}

TEST_F(PolicyExplain, OfManyRulesTheNearestAreShownAndTheOthersCounted) {
  const std::vector<std::string> question{
      "--rules", write("many.json", held_by(250)), "--as", "u7", "--service", "imds", "GET", "/p"};
  const auto ask = [&](std::vector<std::string> options) {
    options.insert(options.begin(), "explain");
    options.insert(options.end(), question.begin(), question.end());
    return policy(std::move(options)).out;
  };
  EXPECT_THAT(ask({}), HasSubstr("   5. miss "));
  EXPECT_THAT(ask({}), HasSubstr("  and 245 more that are further away (--all shows them)\n"));
  EXPECT_THAT(ask({"--all"}), HasSubstr("  250. miss "));
  auto shown = json::parse(ask({"--json"}));
  ASSERT_TRUE(shown.ok());
  for (const std::string matcher : {"canonical", "legacy"}) {
    EXPECT_EQ(shown->at("/" + matcher + "/rules")->array()->size(), 100U);
    EXPECT_EQ(*shown->at("/" + matcher + "/rules/0/identity")->string(), "i7");
    EXPECT_EQ(shown->at("/" + matcher + "/rulesLeftOut")->int64(), 150);
  }
  shown = json::parse(ask({"--json", "--all"}));
  ASSERT_TRUE(shown.ok());
  EXPECT_EQ(*shown->at("/canonical/rules/249/identity")->string(), "i249");
  EXPECT_EQ(shown->at("/legacy/rules")->array()->size(), 250U);
  EXPECT_EQ(shown->at("/legacy/rulesLeftOut")->int64(), 0);
}

TEST_F(PolicyExplain, AServiceWithoutRulesHasTheDefaultsWithoutRules) {
  EXPECT_EQ(policy({"explain", "--no-rules", "--as", "bob", "GET", "http://169.254.169.254/x"}).code, kExitOk);
  const std::string wire = "http://168.63.129.16/machine?comp=goalstate";
  EXPECT_THAT(explain({"--as", "bob", "GET", wire}).out, HasSubstr("DENY 403 not_elevated"));
  EXPECT_THAT(explain({"--as", "bob", "--uid", "0", "GET", wire}).out, HasSubstr("PERMIT no_rules"));
  EXPECT_THAT(explain({"--as", "root", "--service", "hostga", "PUT", "/vmAgentLog"}).out, HasSubstr("PERMIT exempt"));
}

TEST_F(PolicyExplain, OfALiveProcessAsManyGroupsCountAsTheKernelRecords) {
  if (::geteuid() != 0) {
    GTEST_FAIL() << "needs root to give a process groups";
  }
  for (const std::size_t count : {32U, 33U}) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      std::vector<gid_t> groups(count);
      std::iota(groups.begin(), groups.end(), 70'000U);
      ::_exit(::setgroups(groups.size(), groups.data()) == 0 && ::raise(SIGSTOP) == 0 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
    ASSERT_TRUE(WIFSTOPPED(status));
    const auto seen = read_process(static_cast<std::uint32_t>(child), nullptr);
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->groups.size(), 33U) << count;  // the primary one, too
    EXPECT_EQ(seen->groups.back(), 70'031U) << count;
    EXPECT_EQ(seen->more_groups, count > 32) << count;
  }
}

TEST_F(PolicyExplain, ALiveProcessIsComparedByItsFile) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string link = path("other-name");
  std::filesystem::create_symlink(self, link);
  std::string text(kRules);
  text.replace(text.find("\"userName\":\"svc\","), 17, "");
  text.replace(text.find("/opt/app"), 8, link);
  const std::string live = write("live.json", text);
  const std::string pid = std::to_string(::getpid());
  EXPECT_EQ(policy({"explain", "--rules", live, "--pid", pid, "GET", kUrl}).code, kExitOk);
  // What the agent never holds: a path with "..", and one that leads through a magic link.
  const std::string folder = std::filesystem::path(link).parent_path();
  for (const std::string& never :
       {folder + "/../" + folder.substr(folder.rfind('/') + 1) + "/other-name", "/proc/" + pid + "/exe"}) {
    std::string unheld = text;
    unheld.replace(unheld.find(link), link.size(), never);
    const Outcome outcome = policy({"explain", "--rules", write("never.json", unheld), "--pid", pid, "GET", kUrl});
    EXPECT_EQ(outcome.code, kExitFindings) << never;
  }
  const Outcome other = explain({"--pid", pid, "GET", kUrl});
  EXPECT_EQ(other.code, kExitFindings);
  EXPECT_THAT(other.out, HasSubstr("found " + self));
  EXPECT_THAT(other.out, HasSubstr("uid " + std::to_string(::getuid())));
  EXPECT_EQ(explain({"--pid", "4194999", "GET", kUrl}).code, kExitUnusable);
}

TEST_F(PolicyExplain, UnusableInputSaysWhereAndWhatToDo) {
  const std::vector<std::vector<std::string>> all{
      {"explain", "--rules", path("none.json"), "--as", "x", "GET", kUrl},
      {"explain", "--rules", write("bad.json", "{\"imds\":{}}"), "--as", "x", "GET", kUrl},
      {"explain", "--no-rules", "GET", kUrl},
      {"explain", "--no-rules", "--rules", rules, "--as", "x", "GET", kUrl},
      {"explain", "--socket", path("none.sock"), "--as", "x", "GET", kUrl},
      {"explain", "--as", "x", "GET", "/metadata"},
      {"explain", "--as", "x", "--matching", "never", "GET", kUrl},
      {"explain", "--as", "x", "GET"},
      {"explain", "--no-rules", "--as", "x", "--pid", "1", "GET", kUrl}};
  for (std::vector<std::string> arguments : all) {
    EXPECT_EQ(policy(arguments).code, kExitUnusable);
    arguments.insert(arguments.begin() + 1, "--json");
    const Outcome outcome = policy(arguments);
    EXPECT_EQ(outcome.code, kExitUnusable);
    EXPECT_THAT(outcome.err, HasSubstr("  -> ")) << outcome.err;
    const auto shown = json::parse(outcome.out);
    ASSERT_TRUE(shown.ok()) << outcome.out;
    EXPECT_FALSE(shown->find("error")->string()->empty());
    EXPECT_FALSE(shown->find("remedy")->string()->empty());
  }
  EXPECT_THAT(policy(all[1]).err, HasSubstr("bad.json: line 1, column 9 (/imds"));
}

TEST_F(PolicyExplain, TextFromFilesCannotSteerTheTerminal) {
  std::string text(kRules);
  text.replace(text.find("\"reader\""), 8, R"("\u001b[2Jreader")");
  text.replace(text.find("\"role\":\"reader\""), 15, R"("role":"\u001b[2Jreader")");
  const std::string file = write("evil.json", text);
  const Outcome outcome = policy({"explain", "--rules", file, "--as", "\x1b[2Jx", "GET", kUrl + "\x1b[2J"});
  EXPECT_THAT(outcome.out + outcome.err, Not(HasSubstr("\x1b")));
  EXPECT_THAT(policy({"explain", "--rules", file, "--as", "svc", "--exe", "/opt/app", "GET", kUrl}).out,
              HasSubstr(R"(role "\x1b[2Jreader")"));
  EXPECT_THAT(policy({"\x1b[2J"}).err, Not(HasSubstr("\x1b")));
}

TEST_F(PolicyExplain, HelpAndMissingVerbs) {
  EXPECT_EQ(policy({"--help"}).code, kExitOk);
  EXPECT_THAT(policy({"--help"}).out, HasSubstr("explain"));
  EXPECT_EQ(policy({"explain", "--help"}).code, kExitOk);
  EXPECT_THAT(policy({"explain", "--help"}).out, HasSubstr("--matching off|shadow|enforce=enforce\n"));
  EXPECT_EQ(policy({}).code, kExitUnusable);
  EXPECT_EQ(policy({"explains"}).code, kExitUnusable);
}

TEST_F(PolicyExplain, APlaceThatNoProcessCanHaveIsRefused) {
  const Outcome outcome =
      explain({"--as", "svc", "--unit", "foo", "--cgroup", "foo", "--container", "zz", "GET", kUrl});
  EXPECT_EQ(outcome.code, kExitUnusable);
  EXPECT_THAT(outcome.err, HasSubstr("--unit \"foo\": it must be the full name of a systemd unit"));
  EXPECT_THAT(outcome.err, HasSubstr("--cgroup \"foo\": it must be a path"));
  EXPECT_THAT(outcome.err, HasSubstr("--container \"zz\": it must be a container's id"));
  EXPECT_EQ(explain({"--as", "svc", "--cgroup", "/", "GET", kUrl}).code, kExitFindings) << "the root is a place";
}

TEST_F(PolicyExplain, AFolderIsNoFileOfRules) {
  const Outcome outcome = policy({"explain", "--rules", path(""), "--as", "a", "GET", kUrl});
  EXPECT_EQ(outcome.code, kExitUnusable);
  EXPECT_THAT(outcome.err, HasSubstr("is a folder\n  -> name a file"));
  EXPECT_THAT(policy({"simulate", "--rules", rules, "--requests", path("")}).err, HasSubstr("is a folder"));
}

}  // namespace
}  // namespace msp::cli
