// SPDX-License-Identifier: Apache-2.0
#include "gateway/moved_machine.h"

#include <fmt/format.h>

#include <limits>

#include "base/arm_document.h"
#include "base/json_fields.h"
#include "gateway/config.h"
#include "protocol/guid.h"

namespace msp::gateway {
namespace {

constexpr std::int64_t kForm = 2;
constexpr std::int64_t kMost32 = std::numeric_limits<std::uint32_t>::max();

MovedMachine::Key read_key(json::ObjectReader& from) {
  MovedMachine::Key key{.guid = from.string("guid"), .issued = from.string("issued")};
  if (!protocol::is_guid(key.guid)) {
    from.fail("guid", "is no GUID");
  }
  if (auto sealed = base64_decode(from.string("sealed")); sealed) {
    key.sealed = std::move(*sealed);
  } else {
    from.fail("sealed", "is no base64");
  }
  from.finish();
  return key;
}

void write_key(json::Writer& writer, const MovedMachine::Key& key) {
  writer.begin_object().field("guid", key.guid).field("issued", key.issued);
  writer.field("sealed", base64_encode(key.sealed)).end_object();
}

}  // namespace

Result<std::string> sealing_text(const MovedMachine& machine, const MovedMachine::Key& key, bool signer) {
  const auto digest = sha256(as_bytes(machine.model));
  if (!digest) {
    return digest.error();
  }
  std::string addresses;
  for (const Ipv4Address& address : machine.addresses) {
    addresses += address_text({.address = address, .port = 0}) + ' ';
  }
  return fmt::format("openmsp move {}\n{}\n{}\n{}\n{} {}\n{}\n{}\n{}", kForm, machine.vm_id, machine.incarnation,
                     machine.moves, signer ? "signer" : "key", key.guid, key.issued, hex_encode(*digest), addresses);
}

std::string moved_machine_json(const MovedMachine& machine) {
  json::Writer writer;
  writer.begin_object().field("openmspMove", kForm).field("vmId", machine.vm_id);
  writer.field("keyIncarnationId", machine.incarnation).field("moves", machine.moves);
  writer.key("sourceAddresses").begin_array();
  for (const Ipv4Address& address : machine.addresses) {
    writer.value(address_text({.address = address, .port = 0}));
  }
  writer.end_array().key("key");
  if (machine.key) {
    write_key(writer, *machine.key);
  } else {
    writer.null();
  }
  writer.key("signers").begin_array();
  for (const MovedMachine::Key& signer : machine.signers) {
    write_key(writer, signer);
  }
  writer.end_array();
  std::string out = std::move(writer.end_object()).take();
  // Not through a tree: the model stays byte for byte.
  out.pop_back();
  return out + R"(,"resource":)" + machine.model + "}";
}

Result<MovedMachine> parse_moved_machine(std::string_view text) {
  const auto tree = json::parse(text, {.max_bytes = std::size_t{16} << 20, .max_nodes = 2'000'000});
  if (!tree) {
    return tree.error();
  }
  if (tree->find("openmspMove") == nullptr) {
    return config_error("this is no machine that a host has exported",
                        "give the file that mspctl vm export has written");
  }
  json::Problems problems(text, "moved machine");
  json::ObjectReader root(*tree, "", problems);
  MovedMachine machine;
  if (root.integer("openmspMove", {.min = 0}) != kForm) {
    root.fail("openmspMove", "is not a form that this version knows");
  }
  machine.vm_id = root.string("vmId");
  machine.incarnation = static_cast<std::uint32_t>(root.integer("keyIncarnationId", {.min = 0, .max = kMost32}));
  machine.moves = static_cast<std::uint32_t>(root.integer("moves", {.min = 1, .max = kMost32}));
  for (const std::string& address : root.strings("sourceAddresses")) {
    if (auto read = parse_address(address); read) {
      machine.addresses.push_back(*read);
    } else {
      root.fail("sourceAddresses", read.error().message);
    }
  }
  if (const json::Value* key = root.raw("key"); key != nullptr && !key->is_null()) {
    json::ObjectReader reader(*key, "/key", problems);
    machine.key = read_key(reader);
  }
  root.each_object("signers", [&](json::ObjectReader& item) { machine.signers.push_back(read_key(item)); });
  if (const json::Value* resource = root.raw("resource"); resource != nullptr) {
    machine.model = text_of(text, *resource);
  } else {
    root.fail("resource", "is missing");
  }
  root.finish();
  if (auto good = problems.result(); !good) {
    return std::move(good).error();
  }
  return machine;
}

}  // namespace msp::gateway
