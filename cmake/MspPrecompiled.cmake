# SPDX-License-Identifier: Apache-2.0
# Headers that nearly every file reads, compiled once, for what is compiled together (MSP_TOGETHER). A file that forgets an
# include fails in the dev tree, by which the presubmit checks each file.

# msp_reads_precompiled(target precompiled)
function(msp_reads_precompiled target precompiled)
  if(MSP_TOGETHER AND target MATCHES "${MSP_TOGETHER}")
    target_precompile_headers(${target} REUSE_FROM ${precompiled})
  endif()
endfunction()

if(MSP_TOGETHER)
  # A compiler cache needs headers that do not carry the time they were made.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  set(headers <algorithm> <array> <chrono> <cstdint> <expected> <functional> <map> <memory> <optional> <ranges> <set> <span>
              <string> <string_view> <unordered_map> <unordered_set> <utility> <variant> <vector> <fmt/core.h> <fmt/ranges.h>
              <base/fd.h> <base/json_fields.h> <base/net.h> <base/result.h> <base/rules_document.h> <base/secret.h>)
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/precompiled.cpp" CONTENT "int main() {}\n")

  foreach(name msp_precompiled msp_busy_precompiled)
    add_library(${name} OBJECT "${CMAKE_BINARY_DIR}/precompiled.cpp")
    target_link_libraries(${name} PRIVATE fmt::fmt)
    target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/src")
    target_precompile_headers(${name} PRIVATE ${headers})
  endforeach()
  target_compile_options(msp_busy_precompiled PRIVATE ${MSP_BUSY_OPT_LIST})

  # A program, as those that use it are: the code of libraries is made in another way.
  add_executable(msp_test_precompiled "${CMAKE_BINARY_DIR}/precompiled.cpp")
  target_link_libraries(msp_test_precompiled PRIVATE fmt::fmt GTest::gmock)
  target_include_directories(msp_test_precompiled PRIVATE "${CMAKE_SOURCE_DIR}/src")
  target_precompile_headers(msp_test_precompiled PRIVATE ${headers} <filesystem> <fstream> <thread> <gmock/gmock.h>
                                                         <gtest/gtest.h>)
endif()
