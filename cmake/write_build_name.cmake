# SPDX-License-Identifier: Apache-2.0
# Run at build time: OUT gets link::build() of VERSION, MADE_BY and the files that FILES lists.
file(STRINGS "${FILES}" files)
set(all "${MADE_BY}")
foreach(file ${files})
  file(SHA256 "${file}" digest)
  get_filename_component(name "${file}" NAME)
  string(APPEND all "\n${name} ${digest}")
endforeach()
string(SHA256 digest "${all}")
string(SUBSTRING "${digest}" 0 16 digest)
file(WRITE "${OUT}" "// SPDX-License-Identifier: Apache-2.0
#include \"link/build.h\"

namespace msp::link {

std::string_view build() { return \"${VERSION}+${digest}\"; }

}  // namespace msp::link
")
