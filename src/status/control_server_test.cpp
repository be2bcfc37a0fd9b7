// SPDX-License-Identifier: Apache-2.0
#include "status/control_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unix_socket.h"
#include "status/control_path.h"
#include "status/example_snapshot.h"

namespace msp::status {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    std::string name = "/tmp/msp-control-XXXXXX";
    directory = ::mkdtemp(name.data());
    path = directory + "/run/agent.sock";
  }
  ~ControlServerTest() override { std::filesystem::remove_all(directory); }

  // A child of that uid asks and exits; what it read comes back through a pipe.
  std::string ask_as(uid_t uid, std::string_view request) {
    int pipes[2];
    EXPECT_EQ(::pipe(pipes), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      std::string out = "no socket";
      if (uid == 0 || ::setresuid(uid, uid, uid) == 0) {
        const auto socket = connect_unix(path);
        out = socket.ok() ? "" : "errno " + std::to_string(socket.error().code);
        if (socket.ok() && ::send(socket->get(), request.data(), request.size(), MSG_NOSIGNAL) > 0) {
          char buffer[65536];
          const ssize_t n = ::recv(socket->get(), buffer, sizeof(buffer), 0);
          out.assign(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
        }
      }
      [[maybe_unused]] const auto n = ::write(pipes[1], out.data(), out.size());
      ::_exit(0);
    }
    ::close(pipes[1]);
    int status = 0;
    for (int i = 0; i < 500 && ::waitpid(child, &status, WNOHANG) == 0; ++i) {
      loop.run_once(10);
    }
    char buffer[65536];
    const ssize_t n = ::read(pipes[0], buffer, sizeof(buffer));
    ::close(pipes[0]);
    return {buffer, n > 0 ? static_cast<std::size_t>(n) : 0};
  }

  ControlServer::Sources sources() {
    return {.status = &example_snapshot, .rules = [this] { return rules; }};
  }

  Loop loop;
  http::BufferPool buffers;
  RulesInForce rules;
  std::string directory;
  std::string path;
};

constexpr std::string_view kAsk = "GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n";

TEST_F(ControlServerTest, AnswersRoot) {
  ControlServer server(loop, buffers, sources());
  const auto listening = server.listen(path);
  ASSERT_TRUE(listening.ok()) << listening.error().text();
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  ASSERT_EQ(::stat((directory + "/run").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
  const std::string answer = ask_as(0, kAsk);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("\"protected\":true"));
  EXPECT_THAT(ask_as(0, "GET /v2 HTTP/1.1\r\nhost: x\r\n\r\n"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask_as(0, "POST /v1/status HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 405"));
}

TEST_F(ControlServerTest, ShowsTheRulesInForce) {
  ControlServer server(loop, buffers, sources());
  ASSERT_TRUE(server.listen(path).ok());
  constexpr std::string_view kRules = "GET /v1/rules HTTP/1.1\r\nhost: x\r\n\r\n";
  EXPECT_THAT(ask_as(0, kRules), HasSubstr(R"({"inForce":false,"generation":0)"));
  rules.in_force = true;
  rules.generation = 3;
  rules.matching = "shadow";
  rules.requests = "signed";
  rules.items[0] = RuleItem{.default_access = "deny", .mode = "enforce", .id = "v3_local", .rules = {}};
  rules.services[0] = {.origin = rules::Origin::kHostAndFile, .has_rules = true, .id = "v3_local"};
  const std::string answer = ask_as(0, kRules);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer,
              HasSubstr(R"({"inForce":true,"generation":3,"canonicalRequestMode":"shadow","requests":"signed")"));
  EXPECT_THAT(answer,
              HasSubstr(R"({"service":"imds","source":"host_and_local_file","id":"v3_local","mode":"enforce")"));
  EXPECT_THAT(answer, HasSubstr(R"("inputRules":{"imds":{"defaultAccess":"deny","mode":"enforce","id":"v3_local"}})"));
}

TEST_F(ControlServerTest, RulesThatAreTooLargeAreNotHalfShown) {
  ControlServer server(loop, buffers, sources());
  ASSERT_TRUE(server.listen(path).ok());
  rules.items[1] =
      RuleItem{.default_access = "deny", .mode = "enforce", .id = std::string(kMostRulesBytes, 'x'), .rules = {}};
  const std::string answer = ask_as(0, "GET /v1/rules HTTP/1.1\r\nhost: x\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("rules_too_large"));
}

TEST_F(ControlServerTest, NobodyElseGetsPastTheModeOrThePeerCheck) {
  if (::geteuid() != 0) {
    GTEST_FAIL() << "needs root to become another user";
  }
  ControlServer server(loop, buffers, sources());
  ASSERT_TRUE(server.listen(path).ok());
  ASSERT_EQ(::chmod(directory.c_str(), 0755), 0);
  ASSERT_EQ(::chmod((directory + "/run").c_str(), 0755), 0);
  EXPECT_EQ(ask_as(65534, kAsk), "errno " + std::to_string(EACCES));
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  const std::string answer = ask_as(65534, kAsk);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(answer, HasSubstr("not_root"));
}

TEST_F(ControlServerTest, ADeadSocketIsReplacedALivingOneIsNot) {
  auto first = std::make_unique<ControlServer>(loop, buffers, sources());
  ASSERT_TRUE(first->listen(path).ok());
  ControlServer second(loop, buffers, sources());
  const auto refused = second.listen(path);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().text(), HasSubstr("another agent answers"));
  first.reset();
  EXPECT_NE(::access(path.c_str(), F_OK), 0) << "a clean end takes the name away";
  {
    // What a killed agent leaves: a name that nobody listens on.
    ControlServer killed(loop, buffers, sources());
    ASSERT_TRUE(killed.listen(path).ok());
    ASSERT_EQ(::rename(path.c_str(), (path + ".kept").c_str()), 0);
  }
  ASSERT_EQ(::rename((path + ".kept").c_str(), path.c_str()), 0);
  EXPECT_TRUE(second.listen(path).ok());
}

TEST_F(ControlServerTest, AFileThatIsNoSocketIsLeftAlone) {
  std::filesystem::create_directory(directory + "/run");
  std::ofstream(path) << "precious";
  ControlServer server(loop, buffers, sources());
  const auto refused = server.listen(path);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().text(), HasSubstr("is no socket"));
  EXPECT_EQ(std::filesystem::file_size(path), 8U);
}

TEST_F(ControlServerTest, PathFromTheConfiguration) {
  const std::string config = directory + "/c.json";
  const auto read_from = [&](std::string_view text) {
    std::ofstream(config, std::ios::trunc) << text;
    ::chmod(config.c_str(), 0644);
    return control_socket_of(config);
  };
  EXPECT_EQ(read_from(R"({"openmsp":{"controlSocket":"/x"}})")->path, "/x");
  EXPECT_FALSE(read_from(R"({"openmsp":{"controlSocket":"/x"}})")->by_default);
  EXPECT_EQ(read_from(R"({})")->path, kDefaultControlSocket);
  EXPECT_TRUE(read_from(R"({})")->by_default);
  EXPECT_THAT(read_from(R"({"stateDirectory":"/s","adminSocket":"/a","listeners":[]})").error().text(),
              HasSubstr("is a configuration of msp-host"));
  EXPECT_FALSE(read_from(R"({"openmsp":{"controlSocket":7}})").ok());
  EXPECT_FALSE(read_from(R"({)").ok());
  // Which agent is asked is no guess: the file is read as the agent reads it.
  for (const auto& [text, fault] : std::vector<std::pair<std::string_view, std::string_view>>{
           {R"({"openmsp":{"controlSocket":"/x","controlSocket":"/y"}})",
            "/openmsp/controlSocket at line 1, column 34: occurs twice"},
           {R"({"openmsp":{"controlSocket":"/x"},"openmsp":{}})", "/openmsp at line 1, column 35: occurs twice"},
           {"null", "/ at line 1, column 1: expected an object, not null"},
           {"[]", "/ at line 1, column 1: expected an object, not an array"},
           {R"({"openmsp":null})", "/openmsp at line 1, column 12: expected an object, not null"},
           {R"({"openmsp":{"controlSocket":null}})", "expected a string, not null"},
           {R"({"openmsp":{"controlSocket":""}})", "must not be empty"},
           {R"({"openmsp":{"controlSocket":"x"}})", "must be an absolute path"}}) {
    const auto read = read_from(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_THAT(read.error().text(), HasSubstr(fault));
    EXPECT_THAT(read.error().text(), HasSubstr(config));
  }
  EXPECT_EQ(read_from(R"({"new":1,"openmsp":{"newer":2,"controlSocket":"/x"}})")->path, "/x");
  EXPECT_FALSE(control_socket_of("/nonexistent").ok());
}

}  // namespace
}  // namespace msp::status
