// SPDX-License-Identifier: Apache-2.0
#include "request/fault.h"

#include <array>

namespace msp::request {
namespace {

struct Row {
  Fault fault;
  int status;
  std::string_view code;
  std::string_view canon;
  std::string_view text;
};

constexpr std::array<Row, kFaultCount> kRows{{
    {Fault::kNone, 0, "", "", ""},
    {Fault::kCanonScheme, 400, "canon_scheme", "CANON_SCHEME",
     "The request target names a scheme other than http. Use http, or send only the path."},
    {Fault::kCanonMethod, 400, "canon_method", "CANON_METHOD",
     "The method is not one of GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH. Method names are upper-case."},
    {Fault::kCanonUserinfo, 400, "canon_userinfo", "CANON_USERINFO",
     "The request target carries user information before the host. Remove it."},
    {Fault::kCanonPort, 400, "canon_port", "CANON_PORT",
     "The port in the request target is not a number from 0 to 65535. Correct or remove it."},
    {Fault::kCanonHost, 400, "canon_host", "CANON_HOST",
     "The host in the request target is neither an address nor a name. Use the address of the service."},
    {Fault::kCanonPct, 400, "canon_pct", "CANON_PCT",
     "A percent sign in the path or query is not followed by two hex digits. Write a literal one as %25."},
    {Fault::kCanonUtf8, 400, "canon_utf8", "CANON_UTF8",
     "The decoded path or query is not valid UTF-8. Encode text as UTF-8 before percent-encoding it."},
    {Fault::kCanonCtrl, 400, "canon_ctrl", "CANON_CTRL",
     "The decoded path or query contains a control character. Remove it."},
    {Fault::kCanonNonAscii, 400, "canon_non_ascii", "CANON_NON_ASCII",
     "The decoded path contains a character outside ASCII. Metadata paths are ASCII."},
    {Fault::kCanonEmbeddedQuery, 400, "canon_embq", "CANON_EMBQ",
     "The path contains an encoded question mark. Start the query with a plain one."},
    {Fault::kCanonUnderflow, 400, "canon_underflow", "CANON_UNDERFLOW",
     "The path climbs above its root. Remove the '..' segments."},
    {Fault::kMethodNotAllowed, 405, "method_not_allowed", "",
     "The method is not one of GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH. Method names are upper-case."},
    {Fault::kPathTraversal, 403, "path_traversal", "",
     "The path contains a '..' segment or an empty one ('//'). Send the path without them."},
    {Fault::kAuthorityForm, 400, "authority_form", "",
     "The request target is a host without a path. Send the path of the resource, starting with '/'."},
    {Fault::kAsteriskForm, 400, "asterisk_form", "",
     "The request target '*' is for OPTIONS only. Send the path of the resource."},
    {Fault::kUserinfo, 400, "userinfo", "", "The host carries user information. Remove everything up to the '@'."},
    {Fault::kHostMissing, 400, "host_missing", "",
     "An HTTP/1.1 request needs one Host header. Send the address of the service in it."},
    {Fault::kHostForeign, 400, "host_foreign", "",
     "The Host header or the authority of the target is not the service that was connected to. Use its address."},
    {Fault::kSecureChannel, 403, "secure_channel", "",
     "The secure channel belongs to the agent alone. Nothing needs to be asked for there."},
    {Fault::kHeaderRepeated, 400, "header_repeated", "", "A header that may occur once occurs twice. Send it once."},
    {Fault::kHeaderUnsignable, 400, "header_unsignable", "",
     "A header value contains a byte outside printable ASCII, so the request cannot be signed. Encode or remove it."},
    {Fault::kConnectionNamesHeader, 400, "connection_names_header", "",
     "The Connection header names another header of the request. It may say keep-alive, close or upgrade only."},
    {Fault::kExpectationFailed, 417, "expectation_failed", "",
     "The only expectation understood is 100-continue. Remove the Expect header."},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].fault != static_cast<Fault>(i)) {
      return false;
    }
  }
  return true;
}
static_assert(in_order());

const Row& row(Fault fault) { return kRows[static_cast<std::size_t>(fault)]; }

}  // namespace

int status_of(Fault fault) { return row(fault).status; }
std::string_view code_of(Fault fault) { return row(fault).code; }
std::string_view describe(Fault fault) { return row(fault).text; }
std::string_view canon_name(Fault fault) { return row(fault).canon; }

}  // namespace msp::request
