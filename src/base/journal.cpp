// SPDX-License-Identifier: Apache-2.0
#include "base/journal.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>

namespace msp {

std::string journal_entry(std::span<const JournalField> fields) {
  std::string out;
  for (const JournalField& field : fields) {
    out.append(field.name);
    if (field.value.contains('\n')) {
      out += '\n';
      const std::uint64_t length = field.value.size();
      for (unsigned shift = 0; shift < 64; shift += 8) {
        out += static_cast<char>((length >> shift) & 0xFF);  // little endian
      }
    } else {
      out += '=';
    }
    out.append(field.value).append("\n");
  }
  return out;
}

Result<JournalSocket> JournalSocket::connect(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path)) {
    return config_error(fmt::format("{} is too long for a socket", path));
  }
  path.copy(address.sun_path, path.size());
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return errno_error(fmt::format("connecting to the journal at {}", path));
  }
  return JournalSocket(std::move(fd));
}

bool JournalSocket::send(std::string_view entry) const {
  return ::send(fd_.get(), entry.data(), entry.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(entry.size());
}

}  // namespace msp
