// SPDX-License-Identifier: Apache-2.0
#include "cli/host_guard.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ostream>
#include <set>

#include "base/ascii.h"
#include "base/interface_name.h"
#include "base/log.h"
#include "base/net.h"
#include "cli/cli.h"
#include "cli/host_socket.h"

namespace msp::cli {
namespace {

constexpr json::Options kLimits{.max_bytes = 64 << 20, .max_nodes = 4'000'000};
constexpr std::string_view kHead =
    "# Made by mspctl host guard --nftables; load with: nft -f FILE. Make it again when machines change.\n";

bool is_address(std::string_view text) { return parse_endpoint(fmt::format("{}:1", text)).ok(); }

/// "000D3A123456" as 00:0d:3a:12:34:56; empty: it is none.
std::string ether_of(std::string_view digits) {
  constexpr std::size_t kDigits = 12;
  if (digits.size() != kDigits || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
    return {};
  }
  std::string out;
  for (std::size_t i = 0; i < kDigits; i += 2) {
    out += out.empty() ? "" : ":";
    out += ascii_lower(digits.substr(i, 2));
  }
  return out;
}

template <class F>
Result<void> each_text(const json::Value& of, std::string_view name, F&& take) {
  const json::Value* list = of.find(name);
  for (std::size_t i = 0; list != nullptr && list->array() != nullptr && i < list->array()->size(); ++i) {
    const json::Value& item = (*list->array())[i];
    if (!item.is_string() || !take(*item.string())) {
      return bug(fmt::format("the host's {} cannot be read", name));
    }
  }
  return {};
}

Result<GuardedMachine> read_machine(const json::Value& item) {
  GuardedMachine machine;
  const json::Value* name = item.find("name");
  machine.name = name != nullptr && name->is_string() ? log::escape(*name->string()) : "?";
  auto read = each_text(item, "sourceAddresses", [&](const std::string& text) {
    machine.addresses.push_back(text);
    return is_address(text);
  });
  if (read.ok()) {
    read = each_text(item, "interfaces", [&](const std::string& text) {
      machine.interfaces.push_back(text);
      return is_interface_name(text);
    });
  }
  if (read.ok()) {
    read = each_text(item, "macAddresses", [&](const std::string& text) {
      if (std::string ether = ether_of(text); !ether.empty()) {
        machine.ethers.push_back(std::move(ether));
      } else {
        machine.names_no_ether = true;
      }
      return true;
    });
  }
  if (!read.ok()) {
    return std::move(read).error();
  }
  return machine;
}

using Elements = std::set<std::string>;

/// The sets that both kinds of rules look into.
struct Sets {
  Elements services;
  Elements ports;      ///< where a machine is
  Elements addresses;  ///< that belong to one, and to no machine whose port is not known
  Elements places;     ///< port . address
  Elements fixed;      ///< ports whose hardware address is known
  Elements ethers;     ///< port . hardware address
};

Sets sets_of(const GuardInput& input) {
  Sets sets;
  sets.services.insert(input.services.begin(), input.services.end());
  for (const GuardedMachine& machine : input.machines) {
    for (const std::string& interface : machine.interfaces) {
      const std::string port = fmt::format("\"{}\"", interface);
      sets.ports.insert(port);
      for (const std::string& address : machine.addresses) {
        sets.addresses.insert(address);
        sets.places.insert(fmt::format("{} . {}", port, address));
      }
      for (const std::string& ether : machine.ethers) {
        sets.fixed.insert(port);
        sets.ethers.insert(fmt::format("{} . {}", port, ether));
      }
    }
  }
  // In another network the same address may be one's whose port nobody has told: it would be dropped wherever it is.
  for (const GuardedMachine& machine : input.machines) {
    for (const std::string& address : machine.addresses) {
      if (machine.interfaces.empty()) {
        sets.addresses.erase(address);
      }
    }
  }
  return sets;
}

std::string set_text(std::string_view name, std::string_view type, const Elements& elements) {
  return fmt::format("  set {} {{\n    type {}\n{}  }}\n", name, type,
                     elements.empty() ? "" : fmt::format("    elements = {{ {} }}\n", fmt::join(elements, ", ")));
}

std::string shared_sets(const Sets& sets) {
  return set_text("services", "ipv4_addr", sets.services) + set_text("ports", "ifname", sets.ports) +
         set_text("addresses", "ipv4_addr", sets.addresses) + set_text("places", "ifname . ipv4_addr", sets.places);
}

/// `chains` in a table of their own, which takes the place of an earlier one.
std::string table(std::string_view family, const std::string& body) {
  return fmt::format("table {0} openmsp_guard\ndelete table {0} openmsp_guard\ntable {0} openmsp_guard {{\n{1}}}\n",
                     family, body);
}

constexpr std::string_view kBridgeChains = R"(  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    # Nobody on a bridge is a metadata service.
    ip saddr @services counter drop
    arp saddr ip @services counter drop
    # A machine has its own hardware address, and no tags that hide what is inside.
    iifname @fixed iifname . ether saddr != @ethers counter drop
    iifname @ports ether type { 8021q, 8021ad } counter drop
    # A machine says only what it is; it may look whether an address is free, and ask for one.
    iifname @ports arp saddr ip 0.0.0.0 accept
    iifname @ports iifname . arp saddr ip != @places counter drop
    iifname @ports ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
    iifname @ports iifname . ip saddr != @places counter drop
    # Nor is anybody else a machine.
    arp saddr ip @addresses iifname . arp saddr ip != @places counter drop
    ip saddr @addresses iifname . ip saddr != @places counter drop
  }
  chain forward {
    type filter hook forward priority -300; policy accept;
    # What is for a metadata service is for this host.
    ip daddr @services counter drop
    arp daddr ip @services counter drop
  }
)";

constexpr std::string_view kRoutedChains = R"(  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname "lo" accept
    # Nobody beyond this host is a metadata service.
    ip saddr @services counter drop
    iifname @ports ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
    iifname @ports iifname . ip saddr != @places counter drop
    ip saddr @addresses iifname . ip saddr != @places counter drop
  }
  chain forward {
    type filter hook forward priority -300; policy accept;
    # What is for a metadata service is for this host.
    ip daddr @services counter drop
  }
)";

}  // namespace

Result<GuardInput> read_guard(const json::Value& host, const json::Value& machines) {
  // Wherever the host listens: guests know the services by these.
  GuardInput input{.services = {address_text(kImdsEndpoint), address_text(kWireServerEndpoint)}, .machines = {}};
  const json::Value* listeners = host.find("listeners");
  for (std::size_t i = 0; listeners != nullptr && listeners->array() != nullptr && i < listeners->array()->size();
       ++i) {
    const json::Value* address = (*listeners->array())[i].find("address");
    if (address == nullptr || !address->is_string() || !is_address(*address->string())) {
      return bug("the host's listeners cannot be read");
    }
    if (*address->string() != "0.0.0.0" && !address->string()->starts_with("127.")) {
      input.services.push_back(*address->string());
    }
  }
  const json::Value* list = machines.find("value");
  if (list == nullptr || list->array() == nullptr) {
    return bug("the host's answer cannot be read");
  }
  for (const json::Value& item : *list->array()) {
    auto machine = read_machine(item);
    if (!machine.ok()) {
      return std::move(machine).error();
    }
    input.machines.push_back(std::move(*machine));
  }
  return input;
}

std::string nftables_rules(const GuardInput& input, bool routed) {
  const Sets sets = sets_of(input);
  std::string out(kHead);
  for (const GuardedMachine& machine : input.machines) {
    if (machine.interfaces.empty()) {
      out += fmt::format("# not guarded, no interface is known: {}\n", machine.name);
    }
    if (machine.names_no_ether) {
      out += fmt::format("# a hardware address of its model is none, and not in here: {}\n", machine.name);
    }
  }
  if (routed) {
    return out + table("ip", shared_sets(sets) + std::string(kRoutedChains));
  }
  return out + table("bridge", shared_sets(sets) + set_text("fixed", "ifname", sets.fixed) +
                                   set_text("ethers", "ifname . ether_addr", sets.ethers) + std::string(kBridgeChains));
}

int host_guard(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  HostOptions options{.command = "mspctl host"};
  CLI::App app(
      "Prints rules that keep guests from each other's addresses and from those of the metadata services.\n"
      "Exit code: 0 done, 1 refused, 2 bad usage or configuration, or the host could not be asked.",
      "mspctl host guard");
  add_host_options(app, options);
  bool nftables = false;
  bool routed = false;
  app.add_flag("--nftables", nftables, "as nft -f takes them")->required();
  app.add_flag("--routed", routed, "the interfaces of machines are no ports of a bridge");
  if (const auto over = parse_host_options(app, arguments, options, out, err)) {
    return *over;
  }
  std::array<json::Value, 2> answers;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto reply = ask_host(options, err, "GET", i == 0 ? "/v1/host" : "/v1/virtualMachines");
    if (!reply.ok()) {
      return cannot_ask(reply.error(), options, out, err);
    }
    if (reply->status != 200) {
      return refused(*reply, options, out, err);
    }
    auto answer = json::parse(reply->body, kLimits);
    if (!answer.ok()) {
      return cannot_ask(bug("the host's answer cannot be read"), options, out, err);
    }
    answers[i] = std::move(*answer);
  }
  const auto input = read_guard(answers[0], answers[1]);
  if (!input.ok()) {
    return cannot_ask(input.error(), options, out, err);
  }
  for (const GuardedMachine& machine : input->machines) {
    if (machine.interfaces.empty()) {
      err << fmt::format("mspctl host: {} is not guarded: no interface is known\n", machine.name)
          << "  -> say where it is: mspctl vm apply FILE --interface NAME\n";
    }
    if (machine.names_no_ether) {
      err << fmt::format("mspctl host: {} has a macAddress that is no hardware address: no rule holds it to one\n",
                         machine.name)
          << "  -> apply its model with six pairs of hex digits, such as 00-0D-3A-12-34-56\n";
    }
  }
  out << nftables_rules(*input, routed);
  return 0;
}

}  // namespace msp::cli
