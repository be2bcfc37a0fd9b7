# SPDX-License-Identifier: Apache-2.0
# Flags of every target. Hardening and sanitizers are switched by the presets.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR "g++ older than 13 miscompiles ordinary coroutine code (double free of coroutine arguments, "
                      "switch on co_await): use the presets, which take clang++-19.")
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT DEFINED ENV{CI})
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${CCACHE}")
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
                    -Wno-gnu-statement-expression -fno-strict-aliasing -fvisibility=hidden)
# A folder may name a library that not every program of it calls.
add_link_options(-fuse-ld=lld -Wl,--as-needed)
separate_arguments(MSP_OPT_LIST UNIX_COMMAND "${MSP_OPT}")
separate_arguments(MSP_BUSY_OPT_LIST UNIX_COMMAND "${MSP_BUSY_OPT}")
add_compile_options(${MSP_OPT_LIST})

if(MSP_SANITIZE)
  add_compile_options(-fsanitize=${MSP_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${MSP_SANITIZE})
  if(MSP_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

if(MSP_HARDEN)
  # With frame pointers the unwinding tables are so much smaller that it pays, where no speed is lost.
  add_compile_options(-Oz -fno-omit-frame-pointer -momit-leaf-frame-pointer -g1 -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS
                      -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero -ffunction-sections
                      -fdata-sections)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
    add_compile_options(-fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    add_compile_options(-mbranch-protection=standard)
  endif()
  add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie> -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
                   -Wl,-z,pack-relative-relocs -Wl,--gc-sections)
  # docs/decisions/small-but-for-the-data-path.md. Objects of libraries hold machine code as well as what link-time
  # optimisation reads: programs are optimised as one, tests link what is compiled already.
  set(MSP_BOTH_FORMS -flto=thin -ffat-lto-objects)
  # The driver is given -O3 with the build type; later options win.
  set(MSP_FOLDED -Wl,--icf=safe)
  set(MSP_AS_ONE ${MSP_BOTH_FORMS} -O2 ${MSP_FOLDED})
  # Functions of other files are copied into their callers only where they are tiny.
  set(MSP_AS_ONE_SMALL -Wl,-mllvm,-import-instr-limit=10)
endif()

# msp_optimised_as_one(program [SMALL]): link-time optimisation of the program with the libraries it is made of.
function(msp_optimised_as_one program)
  cmake_parse_arguments(A "SMALL" "" "" ${ARGN})
  target_compile_options(${program} PRIVATE ${MSP_BOTH_FORMS})
  target_link_options(${program} PRIVATE ${MSP_AS_ONE})
  if(A_SMALL)
    target_link_options(${program} PRIVATE ${MSP_AS_ONE_SMALL})
  endif()
endfunction()

# docs/decisions/measured-requests.md. What the replays of bench/ ran through how often, as scripts/profile counted it.
set(MSP_MEASURED "${CMAKE_SOURCE_DIR}/bench/requests.proftext")
# Functions of one file alone are told apart by its name, wherever the sources lie.
set(MSP_NAMED_BY_FILE -mllvm -static-func-full-module-prefix=false)
if(MSP_COUNT)
  add_link_options(-fprofile-generate)
  set(MSP_FAST_OPTIONS -fprofile-generate ${MSP_NAMED_BY_FILE})
elseif(MSP_HARDEN)
  find_program(LLVM_PROFDATA NAMES llvm-profdata-19 llvm-profdata REQUIRED)
  set_property(DIRECTORY "${CMAKE_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${MSP_MEASURED}")
  set(MSP_PROFILE "${CMAKE_BINARY_DIR}/requests.profdata")
  execute_process(COMMAND "${LLVM_PROFDATA}" merge "${MSP_MEASURED}" -o "${MSP_PROFILE}.new" COMMAND_ERROR_IS_FATAL ANY)
  file(COPY_FILE "${MSP_PROFILE}.new" "${MSP_PROFILE}" ONLY_IF_DIFFERENT)
  # A function that has changed since is compiled as if nothing were known of it.
  set(MSP_FAST_OPTIONS "-fprofile-use=${MSP_PROFILE}" ${MSP_NAMED_BY_FILE}
      -Wno-profile-instr-out-of-date -Wno-profile-instr-unprofiled -Wno-backend-plugin)
endif()

# msp_fast(folder name…): src/<folder>/<name>.cpp may be larger where that makes it faster. NOT_COUNTED: requests differ so
# much there that those of the replays say nothing.
function(msp_fast folder)
  if(MSP_HARDEN)
    cmake_parse_arguments(A "NOT_COUNTED" "" "" ${ARGN})
    set(files ${A_UNPARSED_ARGUMENTS})
    list(TRANSFORM files REPLACE "(.+)" "${CMAKE_SOURCE_DIR}/src/${folder}/\\1.cpp")
    foreach(file ${files})
      if(NOT EXISTS "${file}")
        message(FATAL_ERROR "${file} is to be fast, and is not there")
      endif()
    endforeach()
    set(options -O2 -fomit-frame-pointer)
    if(NOT A_NOT_COUNTED)
      list(APPEND options ${MSP_FAST_OPTIONS})
      # Objects of two profiles cannot be linked as one.
      set_source_files_properties(${files} PROPERTIES OBJECT_DEPENDS "${MSP_PROFILE}")
    endif()
    # The precompiled headers were made for small code.
    set_source_files_properties(${files} PROPERTIES COMPILE_OPTIONS "${options}" SKIP_PRECOMPILE_HEADERS ON)
  endif()
endfunction()
