// SPDX-License-Identifier: Apache-2.0
// Every file call of the reading of local rule files fails once in every way: the service is closed with a reason, or
// the rules are whole; the next reading has them again (docs/disk-faults.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/loop.h"
#include "rules/local_files.h"
#include "rules/local_watch.h"
#include "rules/publisher.h"
#include "tests/support/faults/campaign.h"

namespace msp::rules {
namespace {

using faults::Fault;
using testing::HasSubstr;

constexpr std::string_view kFile = R"({"id":"local","defaultAccess":"deny","rules":{
  "privileges":[{"name":"p","path":"/metadata"}],"roles":[{"name":"r","privileges":["p"]}],
  "identities":[{"name":"i","userName":"root"}],"roleAssignments":[{"role":"r","identities":["i"]}]}})";

/// {"id":"lab","useLocalFileRules":true}
constexpr std::string_view kItem =
    R"({"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http","version":"2.0",
  "secureChannelEnabled":true,"authorizationRules":{"imds":{"defaultAccess":"allow","mode":"enforce",
  "id":"eyJpZCI6ImxhYiIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfQ=="}}})";

void put_file(const std::string& directory) {
  ASSERT_TRUE(file::replace(directory + "/IMDS_Rules.json", kFile, {.mode = 0644}).ok());
}

Result<void> as_result(const LocalRules& rules) {
  return rules.state == LocalRules::State::kFailed ? Result<void>(Error{.message = rules.failure, .hint = {}})
                                                   : Result<void>();
}

LocalRules load(const std::string& directory) { return LocalDirectory(directory).load(Service::kImds); }

/// Names the file and a remedy.
void expect_clear(const std::string& directory, const Result<void>& loaded) {
  if (!loaded.ok()) {
    EXPECT_THAT(loaded.error().message, HasSubstr(directory + "/IMDS_Rules.json"));
    EXPECT_THAT(loaded.error().message, HasSubstr("("));
  }
}

TEST(RuleFilesFaults, AFileIsReadWholeOrClosesItsService) {
  const auto tally = faults::run({.name = "reading a rule file",
                                  .prepare = put_file,
                                  .act =
                                      [](const std::string& directory) {
                                        const LocalRules rules = load(directory);
                                        EXPECT_NE(rules.state, LocalRules::State::kMissing) << "taken for none";
                                        EXPECT_TRUE(rules.state == LocalRules::State::kFailed || rules.file.rules);
                                        return as_result(rules);
                                      },
                                  .judge =
                                      [](const std::string& directory, const Fault& fault, const Result<void>& loaded) {
                                        expect_clear(directory, loaded);
                                        EXPECT_TRUE(loaded.ok() || fault.effect == faults::kFail);
                                        EXPECT_EQ(load(directory).state, LocalRules::State::kValid);
                                      }});
  EXPECT_GT(tally.refused, 20U);
}

TEST(RuleFilesFaults, WhereThereIsNoFileAFaultClosesUntilItHasGone) {
  faults::run({.name = "looking for a rule file",
               .prepare = [](const std::string&) {},
               .act = [](const std::string& directory) { return as_result(load(directory)); },
               .judge =
                   [](const std::string& directory, const Fault&, const Result<void>& loaded) {
                     expect_clear(directory, loaded);
                     EXPECT_EQ(load(directory).state, LocalRules::State::kMissing);
                   }});
}

/// What connections see: closed, with the reason in the report; after the fault as before it.
TEST(RuleFilesFaults, ThePublisherClosesTheServiceAndOpensItAgain) {
  const auto document = protocol::parse_status(kItem);
  ASSERT_TRUE(document.ok()) << document.error().text();
  std::size_t closed = 0;
  faults::run({.name = "publishing rules",
               .prepare = put_file,
               .act = [&](const std::string& directory) -> Result<void> {
                 LocalDirectory files(directory);
                 Publisher publisher({}, files, [](std::shared_ptr<const policy::Snapshot>) {});
                 publisher.apply(*document);
                 const ServiceReport report = publisher.report(Service::kImds);
                 EXPECT_FALSE(report.default_allow) << "the file denies, and so does what cannot be read";
                 faults::plan().effect = faults::kNone;
                 publisher.apply(*document);
                 EXPECT_EQ(publisher.report(Service::kImds).local_failure, "");
                 EXPECT_EQ(publisher.report(Service::kImds).id, "lab-useLocalFileRules-true_local");
                 closed += report.local_failure.empty() ? 0 : 1;
                 return report.local_failure.empty() ? Result<void>()
                                                     : Error{.message = report.local_failure, .hint = {}};
               },
               .judge = [](const std::string& directory, const Fault&,
                           const Result<void>& published) { expect_clear(directory, published); }});
  EXPECT_GT(closed, 20U);
}

/// Without a watch the files are still read at every poll; look_again() finds the directory once it can be watched.
TEST(RuleFilesFaults, AWatchThatFailsIsFoundAgain) {
  Loop loop;
  int changes = 0;
  std::unique_ptr<LocalWatch> watch;
  faults::run({.name = "watching the rule files",
               .prepare = put_file,
               .act = [&](const std::string& directory) -> Result<void> {
                 auto started = LocalWatch::start(loop, directory, [&] { ++changes; });
                 if (!started.ok()) {
                   return std::move(started).error();
                 }
                 watch = *std::move(started);
                 return {};
               },
               .judge =
                   [&](const std::string& directory, const Fault&, const Result<void>& watched) {
                     ASSERT_TRUE(watched.ok()) << watched.error().text();
                     watch->look_again();
                     const int before = changes;
                     put_file(directory);
                     for (int i = 0; i < 100 && changes == before; ++i) {
                       loop.run_once(20);
                     }
                     EXPECT_GT(changes, before);
                   }});
}

}  // namespace
}  // namespace msp::rules
