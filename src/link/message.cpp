// SPDX-License-Identifier: Apache-2.0
#include "link/message.h"

#include "link/bytes.h"

namespace msp {

// Members in the order of the wire. In the namespaces of their types, where the visitors find them.
namespace proxy {
void fields(auto& v, ServiceSettings& m) { v(m.endpoint, m.host_names); }
void fields(auto& v, Settings& m) {
  v(m.services, m.listener, m.max_connections, m.max_connections_per_user, m.head_timeout_ms, m.idle_timeout_ms,
    m.body_timeout_ms, m.upstream_timeout_ms, m.connect_timeout_ms, m.not_ready_hold_ms, m.max_signed_body_bytes,
    m.max_exempt_body_bytes);
}
}  // namespace proxy

namespace protocol {
void fields(auto& v, Asks& m) { v(m.epoch, m.caller); }
}  // namespace protocol

namespace status {
void fields(auto& v, ProvisionView& m) { v(m.finished_tick_ns, m.channel_wanted, m.error_message); }
}  // namespace status

namespace link {
namespace {

constexpr std::uint32_t kMagic = 0x4B4C534D;  // "MSLK"

struct Header {
  std::uint32_t magic = kMagic;
  std::uint16_t version = kVersion;
  std::uint16_t kind = 0;
  std::uint64_t number = 0;
};
void fields(auto& v, Header& m) { v(m.magic, m.version, m.kind, m.number); }
constexpr std::size_t kHeaderBytes = 16;

}  // namespace

template <class M>
concept Empty = std::is_empty_v<M>;
template <Empty M>
void fields(auto& /*v*/, M& /*m*/) {}

void fields(auto& v, Greeting& m) { v(m.build); }
void fields(auto& v, Setup& m) {
  v(m.uid, m.gid);
  v.template ranged<log::Level, log::Level::kDebug>(m.log_level);
  v(m.audit_ring_bytes, m.tickets_from, m.proxy);
}
void fields(auto& v, Listen& m) { v(m.listener); }
void fields(auto& v, Names::Name& m) { v(m.id, m.name); }
void fields(auto& v, Names& m) { v(m.users, m.groups); }
void fields(auto& v, Pins::Pin& m) { v(m.path, m.inode, m.since_ns); }
void fields(auto& v, Pins& m) { v(m.idle, m.ticket, m.pins); }
void fields(auto& v, Places::Entry& m) {
  v(m.cgroup);
  v.template ranged<Places::Found, Places::Found::kFailed>(m.found);
  v(m.path);
}
void fields(auto& v, Places& m) { v(m.idle, m.ticket, m.entries); }
void fields(auto& v, Rules::Set& m) {
  v.template ranged<Rules::Kind, Rules::Kind::kDenyAll>(m.kind);
  v(m.id, m.text);
}
void fields(auto& v, Rules& m) {
  v.template ranged<policy::Matching, policy::Matching::kEnforce>(m.matching);
  v(m.generation, m.sets);
}
void fields(auto& v, Gate::Key& m) { v(m.guid, m.bytes); }
void fields(auto& v, Gate& m) {
  v.template ranged<proxy::Readiness, proxy::Readiness::kUnsigned>(m.readiness);
  v(m.rules, m.host_time_offset_ms, m.key, m.asks);
}
void fields(auto& v, Status& m) { v(m.provision, m.aggregate_json); }
void fields(auto& v, Dialled& m) { v(m.dial, m.code); }
void fields(auto& v, LogLevel& m) { v.template ranged<log::Level, log::Level::kDebug>(m.level); }
void fields(auto& v, Taken& m) { v(m.number); }
void fields(auto& v, Dial& m) {
  v(m.dial);
  v.template ranged<Service, Service::kHostGaPlugin>(m.service);
}
void fields(auto& v, WantName& m) { v(m.id, m.group); }
void fields(auto& v, WantExecutables& m) { v(m.ticket); }
void fields(auto& v, WantPlace& m) { v(m.cgroup, m.ticket); }
void fields(auto& v, ListenerLost& m) { v(m.listener); }
void fields(auto& v, Line::Field& m) { v(m.name, m.value); }
void fields(auto& v, Line& m) {
  v.template ranged<log::Level, log::Level::kDebug>(m.level);
  v(m.text, m.fields);
}

namespace {

template <class Variant>
std::string encode_any(const Variant& message, std::uint64_t number) {
  std::string out;
  // A message with a key in it never moves: no copy of the key is left behind.
  out.reserve(512);
  Writer writer(out);
  writer(Header{.kind = static_cast<std::uint16_t>(message.index()), .number = number});
  std::visit([&](const auto& m) { writer(m); }, message);
  return out;
}

template <class Variant, std::size_t I = 0>
bool emplace(Variant& out, std::size_t kind) {
  if constexpr (I == std::variant_size_v<Variant>) {
    return false;
  } else {
    if (kind == I) {
      out.template emplace<I>();
      return true;
    }
    return emplace<Variant, I + 1>(out, kind);
  }
}

template <class Variant>
Result<Numbered<Variant>> decode_any(std::string_view bytes) {
  Header header;
  Reader head(bytes.substr(0, kHeaderBytes));
  head(header);
  if (!head.done() || header.magic != kMagic) {
    return bug("a message between monitor and worker is none");
  }
  if (header.version != kVersion) {
    return bug(fmt::format("monitor and worker are of two versions: {} and {}", kVersion, header.version));
  }
  Numbered<Variant> out{.number = header.number, .message = {}};
  Reader reader(bytes.substr(kHeaderBytes));
  if (!emplace(out.message, header.kind)) {
    return bug(fmt::format("a message between monitor and worker is of no known kind: {}", header.kind));
  }
  std::visit([&](auto& m) { reader(m); }, out.message);
  if (!reader.done()) {
    return bug(fmt::format("a message between monitor and worker does not fit its kind: {}", header.kind));
  }
  return out;
}

}  // namespace

std::string encode(const ToWorker& message, std::uint64_t number) { return encode_any(message, number); }
std::string encode(const ToMonitor& message, std::uint64_t number) { return encode_any(message, number); }
Result<Numbered<ToWorker>> decode_to_worker(std::string_view bytes) { return decode_any<ToWorker>(bytes); }
Result<Numbered<ToMonitor>> decode_to_monitor(std::string_view bytes) { return decode_any<ToMonitor>(bytes); }

Error of_another_build(std::string_view monitor, std::string_view worker) {
  return config_error(fmt::format("msp-agent is of build {}, msp-worker of build {}", monitor, worker),
                      "install both from one package, then restart msp-agent");
}

std::size_t descriptors_of(const ToWorker& message) {
  if (const auto* setup = std::get_if<Setup>(&message)) {
    return setup->audit_ring_bytes == 0 ? 1 : 3;
  }
  if (const auto* dialled = std::get_if<Dialled>(&message)) {
    return dialled->code == 0 ? 1 : 0;
  }
  return std::holds_alternative<Listen>(message) || std::holds_alternative<Adopt>(message) ? 1 : 0;
}

}  // namespace link
}  // namespace msp
