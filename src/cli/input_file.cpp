// SPDX-License-Identifier: Apache-2.0
#include "cli/input_file.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>  // banned-ok: std::cin, a file like the others
#include <system_error>

namespace msp::cli {

Result<void> with_input(const std::string& path,
                        const std::function<Result<void>(std::istream& in, const std::string& name)>& read) {
  if (path == "-") {
    return read(std::cin, "standard input");
  }
  // It could be opened, and only reading it would fail.
  if (std::error_code none; std::filesystem::is_directory(path, none)) {
    return config_error(path + " is a folder", "name a file in it, or '-' for standard input");
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    Error error = errno_error("open " + path, errno == 0 ? ENOENT : errno);
    error.hint = "name a file that this user may read, or '-' for standard input";
    return error;
  }
  return read(in, path);
}

}  // namespace msp::cli
