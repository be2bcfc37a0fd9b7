# SPDX-License-Identifier: Apache-2.0
# Headers that nearly every file reads, compiled once: for the sanitizer trees (MSP_PCH), where most of the time of a
# full test run goes into the compiler. The other trees go without, so that a file which forgets an include fails there.

# msp_reads_precompiled(target precompiled)
function(msp_reads_precompiled target precompiled)
  if(MSP_PCH)
    target_precompile_headers(${target} REUSE_FROM ${precompiled})
  endif()
endfunction()

if(MSP_PCH)
  # A compiler cache needs headers that do not carry the time they were made.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  set(headers <algorithm> <array> <chrono> <cstdint> <expected> <functional> <map> <memory> <optional> <ranges> <span>
              <string> <string_view> <unordered_map> <utility> <variant> <vector> <fmt/core.h> <fmt/ranges.h>)
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/precompiled.cpp" CONTENT "int main() {}\n")

  foreach(name msp_precompiled msp_busy_precompiled)
    add_library(${name} OBJECT "${CMAKE_BINARY_DIR}/precompiled.cpp")
    target_link_libraries(${name} PRIVATE fmt::fmt)
    target_precompile_headers(${name} PRIVATE ${headers})
  endforeach()
  target_compile_options(msp_busy_precompiled PRIVATE ${MSP_BUSY_OPT_LIST})

  # A program, as those that use it are: the code of libraries is made in another way.
  add_executable(msp_test_precompiled "${CMAKE_BINARY_DIR}/precompiled.cpp")
  target_link_libraries(msp_test_precompiled PRIVATE fmt::fmt GTest::gmock)
  target_precompile_headers(msp_test_precompiled PRIVATE ${headers} <filesystem> <fstream> <gmock/gmock.h>
                                                         <gtest/gtest.h>)
endif()
