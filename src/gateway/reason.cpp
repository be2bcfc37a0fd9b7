// SPDX-License-Identifier: Apache-2.0
#include "gateway/reason.h"

#include <array>

namespace msp::gateway {
namespace {

// In the order of the enumeration. Never the word that one SDK takes for "no metadata service here" (protocol.md J.2).
constexpr std::array<ReasonFacts, kReasonCount> kFacts = {{
    {"none", 200, "", ""},
    {"unknown_caller", 403,
     "No virtual machine is registered for the address this request came from. Register it in the host's "
     "configuration.",
     "mspctl vm list names who asks that belongs to no machine: apply a machine with this source address and network"},
    {"forwarded_request", 400,
     "Requests with an X-Forwarded-For header are refused: ask the metadata service without a proxy.",
     "a program in the machine asks through a proxy: except 169.254.169.254 from it (no_proxy)"},
    {"unsigned", 401,
     "This virtual machine's metadata is closed to requests that its agent has not endorsed. Check that the agent runs "
     "and intercepts this process.",
     "mspctl status in the machine: its agent must run, be PROTECTED, and guard the cgroup of whoever asks; until it "
     "does, the mode Audit serves"},
    {"duplicate_trusted_header", 401,
     "A claims, date or authorization header occurs more than once. Only the agent may set them, once each.",
     "a program in the machine sets what only the agent may set, past the agent: mspctl status in the machine"},
    {"bad_authorization_header", 401,
     "The authorization header is not of the form: Azure-HMAC-SHA256, key id, 64 lower-case hex digits.",
     "a program in the machine signs by itself, past the agent: mspctl status in the machine"},
    {"unknown_key", 401, "The key named by the authorization header is not known here. The agent must latch a key.",
     "the agent latches a key at its next poll; if it does not: mspctl key get VM (docs/disks.md)"},
    {"key_ended", 401,
     "The key named by the authorization header was this virtual machine's and has ended: its keyIncarnationId was "
     "raised, or another key was latched. The agent learns of it at its next poll.",
     "the agent latches another at its next poll; if it does not: mspctl status in the machine"},
    {"foreign_key", 403, "The key named by the authorization header belongs to another virtual machine.",
     "its disk is a copy of another machine's: mspctl key get of that one (docs/disks.md)"},
    {"key_not_latched", 401, "The key named by the authorization header has not been attested.",
     "the agent attests it at its next poll; if it does not: mspctl status in the machine"},
    {"unsignable_header", 400, "A header value holds a byte that cannot be signed.",
     "have the program that asks send printable ASCII in its headers"},
    {"bad_signature", 401,
     "The signature does not fit the request as it was received: it was altered on its way, or signed with another "
     "key.",
     "something between agent and host alters requests, or somebody forges them: mspctl key get VM (docs/disks.md)"},
    {"repeated_header", 400,
     "A header occurs more than once, with different values, of which the signature covers the last only. Send it "
     "once.",
     "something between agent and host adds headers, or an agent passes on what a client sent twice (OpenMSP's does "
     "not)"},
    {"bad_claims", 401, "The claims header is missing or not of the agreed form.",
     "bring the machine's agent up to date"},
    {"bad_date", 401, "The date header is missing or not of the agreed form.", "bring the machine's agent up to date"},
    {"stale_date", 401,
     "The date of the request is too far from the host's clock. The agent takes the time from the status answer.",
     "set the host's clock right; the agent follows it at its next poll"},
    {"not_elevated", 403, "This service answers only what root of the virtual machine has asked.",
     "WireServer and HostGAPlugin are for root of the machine: no allowlist grants them to others"},
    {"bad_caller", 401, "The header that names the caller is not of the agreed form.",
     "bring the machine's agent up to date, or set verification.callerHeader to never"},
    {"bad_nonce", 401, "The nonce is not of the agreed form.",
     "bring the machine's agent up to date, or set verification.replayProtection to off"},
    {"nonce_missing", 401,
     "This host serves requests with a nonce only, so that none can be replayed. The agent must know the extension.",
     "bring the machine's agent up to date, or set verification.replayProtection to offered"},
    {"nonce_stale", 401,
     "The nonce was made for an earlier start of this host. The agent signs it anew; who replays it cannot.",
     "nothing after a restart of the host: the agent signs anew; at other times somebody replays what he captured"},
    {"nonce_too_old", 401,
     "The nonce is so far behind others of the same agent that nobody can tell whether it was used. Ask again.",
     "nothing if it is rare: the agent's requests overtook each other; if not, somebody replays what he captured"},
    {"replayed", 401, "A request with this nonce has been here before.",
     "somebody sends again what he captured: see in the access log when, and in the machine who runs"},
    {"too_many_streams", 401,
     "The agent of this virtual machine was started thousands of times within minutes: find out why it ends.",
     "journalctl -u msp-agent in the machine: why its agent ends again and again"},
    {"channel_disabled", 403,
     "The virtual machine's model does not enable the proxy agent, so there is no key to hand out.",
     "set proxyAgentSettings.enabled in its model and apply it, or stop its agent"},
    {"key_latched", 403,
     "A key is latched for this virtual machine and is not handed out again. To replace it, raise keyIncarnationId.",
     "mspctl key get VM says whether it is a changed disk or a thief"},
    {"key_request_malformed", 400, "The body must be a JSON object that names the scheme Azure-HMAC-SHA256.",
     "bring the machine's agent up to date"},
    {"store_failed", 503, "The host could not store its decision. Nothing has changed; try again later.",
     "the log of msp-host says what is wrong with its database; most often the disk is full"},
    {"host_ending", 503, "The host is being stopped or restarted; ask again.", "nothing: the agent asks again"},
    {"bad_target", 400, "The request target must be a path, optionally with a query.",
     "the program that asks must send a path: it takes the metadata service for a proxy"},
    {"not_found", 404, "There is nothing at this path.",
     "the program that asks must name a path that is there (docs/host.md), or an element that its model has"},
    {"method_not_allowed", 405, "This path does not support the method.",
     "the program that asks must use the method that docs/host.md names: GET for nearly everything"},
    {"body_too_large", 413, "The body is larger than this path accepts.",
     "raise limits.signedBodyBytes if the machine may send this much"},
    {"body_unreadable", 400, "The body could not be read.",
     "nothing if it is rare: the connection broke, or the body was too slow; if not, see how the program sends it"},
    {"metadata_header_missing", 400, "Bad request. Required metadata header not specified",
     "the program that asks must send Metadata: true"},
    {"api_version", 400,
     "Bad request. api-version is invalid or was not specified in the request. For more information refer to "
     "aka.ms/azureimds",
     "the program that asks must send one api-version of those that /metadata/versions lists"},
    {"bad_query", 400,
     "Bad request. The query is malformed, repeats a parameter, or asks for a form that is not there.",
     "the program that asks must send each parameter once, with a value that is known: its answer says more, and a "
     "leaf "
     "has format=text only"},
    {"version_header_missing", 400, "The x-ms-version header is missing.",
     "the program that asks must send x-ms-version, as agents do"},
    {"stale_goal_state", 410,
     "This container or incarnation is not, or no longer, that of this virtual machine: fetch the goal state again.",
     "nothing: its agents fetch the goal state again"},
    {"wrong_container", 400,
     "InvalidContainerConfiguration: this container is not, or no longer, that of this virtual machine.",
     "nothing: its agents fetch the goal state again"},
    {"bad_certificate", 400,
     "The certificate of the request is missing, or not one of an RSA key of 2048 to 4096 bits, or the cipher is none "
     "of DES_EDE3_CBC, AES128_CBC and AES256_CBC.",
     "have the machine's agent make its transport certificate anew, with an RSA key of 2048 bits"},
    {"bad_report", 400, "The body is not the report that this path takes.",
     "bring the agent of the machine that reports up to date; an approval of events must name events that are there"},
    {"no_identity", 400, "Identity not found",
     "give the machine the identity in its model, or have the program ask for one that it has"},
    {"too_many_requests", 429, "Too many requests: ask again later, and keep what you were told.",
     "have the program keep what it was told, or raise limits.imdsPerSecond or limits.identityPerSecond "
     "(keysPerSecond, where keys are asked for)"},
    {"upstream_down", 502,
     "The metadata service behind this host is not there, or has closed the connection. Try again later.",
     "see that the service behind this host runs at the address that upstream names"},
    {"upstream_slow", 504, "The metadata service behind this host has not answered in time. Try again later.",
     "see why the service behind this host is slow, or raise upstream.timeoutSeconds"},
    {"upstream_bad_answer", 502, "The metadata service behind this host has answered with what is no HTTP.",
     "see that the service that upstream names speaks HTTP"},
}};

}  // namespace

const ReasonFacts& facts(Reason reason) { return kFacts[static_cast<std::size_t>(reason)]; }

}  // namespace msp::gateway
