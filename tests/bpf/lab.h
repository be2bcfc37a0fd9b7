// SPDX-License-Identifier: Apache-2.0
// A place of its own for one privileged test: cgroups, a network namespace, a mount namespace with a bpf file system.
// One per test, made in SetUp; the test's process becomes the agent (it lives in the agent cgroup).
// What cannot be made fails the test; everything made is removed by the destructor.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/net.h"
#include "identity/source.h"
#include "intercept/interceptor.h"

namespace msp::lab {

inline constexpr Ipv4Endpoint kListener{{127, 0, 0, 1}, 3080};
inline constexpr Ipv4Endpoint kListener2{{127, 0, 0, 1}, 3081};
inline constexpr Ipv4Endpoint kUnguarded{{169, 254, 169, 254}, 9999};

/// Credentials of a client process.
struct Who {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

inline const Who kMallory{.uid = 12666, .gid = 12666, .groups = {}};

class Lab {
 public:
  static Result<std::unique_ptr<Lab>> make();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;
  ~Lab();

  intercept::Config config() const;
  std::string clients_cgroup() const { return cgroup_ + "/clients"; }
  std::string pin(const std::string& name) const { return directory_ + "/bpf/msp/" + name; }
  const std::string& directory() const { return directory_; }
  /// All three services go to kListener; `redirect` says whether they do.
  static intercept::Settings settings(bool redirect = true);

  /// Runs f in a process of the clients' cgroup with the credentials; its value is the exit status.
  pid_t spawn(const Who& who, const std::function<int()>& f) const;

 private:
  Lab() = default;
  std::string cgroup_;
  std::string directory_;
  bool mounted_ = false;
};

/// Exit status, or 256 + signal.
int wait_for(pid_t pid);
Result<void> join_cgroup(const std::string& path);
/// Writes to a file below /proc/sys (of the current network namespace).
Result<void> set_sysctl(const std::string& name, const std::string& value);
/// Brings up lo and gives it the guarded addresses, in the current network namespace.
Result<void> prepare_loopback();

/// connect() with a blocking socket; 0 or errno. The socket is left in `out`.
int connect_to(const Ipv4Endpoint& to, Fd& out);
int connect_socket(int fd, const Ipv4Endpoint& to);
int connect_mapped(int fd, const Ipv4Endpoint& to);
/// Waits at most 5 seconds for one connection.
Result<Fd> accept_one(const Fd& listener);

/// Fixture with a lab, an open interceptor with redirection on, and its listener.
class BpfTest : public testing::Test {
 protected:
  void SetUp() override;
  Result<identity::ConnectionIdentity> next_identity() { return next_identity(listener); }
  Result<identity::ConnectionIdentity> next_identity(const Fd& from);
  /// errno of a client's connect.
  int connect_as(const Who& who, const Ipv4Endpoint& to) const;
  Result<intercept::Counters> counters() const { return interceptor->counters(); }

  std::unique_ptr<Lab> lab;
  std::unique_ptr<intercept::Interceptor> interceptor;
  Fd listener;
  identity::SocketIdentitySource source;
};

}  // namespace msp::lab
