# SPDX-License-Identifier: Apache-2.0
# msp_build_name(target): compiles link::build() into target, a digest of all that makes msp-agent and msp-worker. Taken of
# what the files say, not of when they were built: the same sources give the same name.
set(MSP_BUILD_SCRIPT "${CMAKE_CURRENT_LIST_DIR}/write_build_name.cmake")

function(msp_build_name target)
  set(patterns "${CMAKE_SOURCE_DIR}/bpf/*.[hc]" "${CMAKE_SOURCE_DIR}/apps/msp_agent.cpp"
               "${CMAKE_SOURCE_DIR}/apps/msp_worker.cpp")
  foreach(folder base http identity request policy protocol intercept audit channel rules proxy status link worker agent)
    list(APPEND patterns "${CMAKE_SOURCE_DIR}/src/${folder}/*.h" "${CMAKE_SOURCE_DIR}/src/${folder}/*.cpp")
  endforeach()
  file(GLOB files CONFIGURE_DEPENDS ${patterns})
  list(FILTER files EXCLUDE REGEX "_test\\.cpp$")
  list(SORT files)
  list(JOIN files "\n" lines)
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/build_name.files" CONTENT "${lines}\n" @ONLY)
  set(made_by "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_SYSTEM_PROCESSOR} ${CMAKE_CXX_FLAGS}"
              "${CMAKE_BUILD_TYPE} ${MSP_OPT} ${MSP_SANITIZE} ${MSP_HARDEN}")
  set(out "${CMAKE_BINARY_DIR}/build_name.cpp")
  add_custom_command(
    OUTPUT "${out}"
    COMMAND ${CMAKE_COMMAND} "-DOUT=${out}" "-DVERSION=${PROJECT_VERSION}" "-DMADE_BY=${made_by}"
            "-DFILES=${CMAKE_BINARY_DIR}/build_name.files" -P "${MSP_BUILD_SCRIPT}"
    DEPENDS ${files} "${CMAKE_BINARY_DIR}/build_name.files" "${MSP_BUILD_SCRIPT}"
    COMMENT "Name of the build" VERBATIM)
  target_sources(${target} PRIVATE "${out}")
endfunction()
