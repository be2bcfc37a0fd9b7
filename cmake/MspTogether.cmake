# SPDX-License-Identifier: Apache-2.0
# Files compiled as one, of the targets that MSP_TOGETHER names: the templates and inline functions that many of them use
# are made, and watched, once a group instead of once a file. docs/decisions/compiled-together.md.
set(MSP_UNITY_GROUPS "${CMAKE_CURRENT_LIST_DIR}/unity_groups.py")

# msp_compiled_together(target file…): those whose own names do not meet, in groups.
function(msp_compiled_together target)
  if(NOT MSP_TOGETHER OR NOT target MATCHES "${MSP_TOGETHER}")
    return()
  endif()
  set(files)
  foreach(file ${ARGN})
    cmake_path(ABSOLUTE_PATH file)
    list(APPEND files "${file}")
  endforeach()
  list(FILTER files EXCLUDE REGEX "${MSP_ALONE}")
  # A changed file may keep other names to itself.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${files} "${MSP_UNITY_GROUPS}")
  execute_process(COMMAND "${Python3_EXECUTABLE}" "${MSP_UNITY_GROUPS}" "${CMAKE_SOURCE_DIR}" ${files}
                  OUTPUT_VARIABLE groups OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  # A line is a group, and already a list.
  string(REPLACE ";" "\t" groups "${groups}")
  string(REPLACE "\n" ";" groups "${groups}")
  set(count 0)
  foreach(group ${groups})
    math(EXPR count "${count} + 1")
    string(REPLACE "\t" ";" group "${group}")
    set_source_files_properties(${group} PROPERTIES UNITY_GROUP "${target}_${count}")
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()
