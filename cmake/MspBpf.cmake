# SPDX-License-Identifier: Apache-2.0
# msp_bpf_skeleton(target name [FROM folder]): bpf/<name>.bpf.c, or that of a changed copy of bpf/, → stripped object →
# <name>.skel.h, on the include path of target.
find_program(BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)
find_program(LLVM_STRIP NAMES llvm-strip-19 llvm-strip REQUIRED)
find_program(BPF_CLANG NAMES clang-19 clang REQUIRED)

# What a file must find before it can be read.
add_custom_target(generated_headers)

function(msp_bpf_skeleton target name)
  cmake_parse_arguments(A "" "FROM" "" ${ARGN})
  if(A_FROM)
    set(folder "${A_FROM}")
    set(out "${CMAKE_CURRENT_BINARY_DIR}/${target}")
    set(made bpf_${name}_of_${target})
  else()
    set(folder "${CMAKE_SOURCE_DIR}/bpf")
    set(out "${CMAKE_BINARY_DIR}/bpf")
    set(made bpf_${name})
  endif()
  set(source "${folder}/${name}.bpf.c")
  if(NOT EXISTS "${source}")
    return()
  endif()
  file(MAKE_DIRECTORY "${out}")
  file(GLOB headers CONFIGURE_DEPENDS "${folder}/*.h")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(arch arm64)
  else()
    set(arch x86)
  endif()
  add_custom_command(
    OUTPUT "${out}/${name}.skel.h"
    COMMAND ${BPF_CLANG} -g -O2 -target bpf -D__TARGET_ARCH_${arch} -Wall -Wextra -Werror
            -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -c "${source}" -o "${out}/${name}.bpf.o"
    COMMAND ${LLVM_STRIP} -g "${out}/${name}.bpf.o"
    # Generated: not ours to tidy.
    COMMAND ${CMAKE_COMMAND} -E echo "// NOLINTBEGIN" > "${out}/${name}.skel.h"
    COMMAND ${BPFTOOL} gen skeleton "${out}/${name}.bpf.o" name ${name}_bpf >> "${out}/${name}.skel.h"
    COMMAND ${CMAKE_COMMAND} -E echo "// NOLINTEND" >> "${out}/${name}.skel.h"
    DEPENDS "${source}" ${headers}
    COMMENT "BPF ${name}" VERBATIM)
  add_custom_target(${made} DEPENDS "${out}/${name}.skel.h")
  add_dependencies(generated_headers ${made})
  get_target_property(type ${target} TYPE)
  add_dependencies(${target} ${made})
  if(type STREQUAL "INTERFACE_LIBRARY")
    target_include_directories(${target} SYSTEM INTERFACE "${out}")
  else()
    target_include_directories(${target} SYSTEM PRIVATE "${out}")
  endif()
endfunction()
