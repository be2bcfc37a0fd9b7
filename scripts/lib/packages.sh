# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The one list of Debian 12 packages that building, testing and measuring need, and how they are installed.
# shellcheck disable=SC2034  # the lists are read by name, through packages()
# Sourced after common.sh. Nothing here starts a service: nginx is unpacked under build/, never installed.

MSP_PACKAGES_BUILD=(clang-19 lld-19 llvm-19 libclang-rt-19-dev libstdc++-12-dev cmake ninja-build pkg-config git
  ca-certificates python3 bpftool libbpf-dev libelf-dev zlib1g-dev libssl-dev rapidjson-dev libspdlog-dev libfmt-dev
  libcli11-dev libsqlite3-dev libpugixml-dev libgtest-dev libgmock-dev librapidcheck-dev liburing-dev)
# The programs run between two network namespaces; the demo asks with curl.
MSP_PACKAGES_RUN=(iproute2 procps curl)
MSP_PACKAGES_PRESUBMIT=(clang-format-19 clang-tidy-19 shellcheck)
# The test of kills loads with wrk; the gate counts instructions and system calls; the rules' JSON Schema is tried by a
# validator; two subvolumes of a btrfs image give two files one inode number; chattr makes a file that cannot be
# replaced; spin checks the model of the latch; nft guards a host, and puts a namespace behind a guest; a guest's own
# firewall lets only root reach the host; systemctl sets up the service in a root.
MSP_PACKAGES_TEST=(wrk strace valgrind python3-jsonschema btrfs-progs e2fsprogs openssl spin iptables nftables systemd)
# wrk is the load, strace counts; nginx, peer and origin, is unpacked (see scripts/bench).
MSP_PACKAGES_BENCH=(wrk strace libbenchmark-dev)
# The real clients of the metadata services, and what they call. Fetched to build/clients and unpacked into a throw-away
# root by the tests, never installed: they would take this machine for a guest of theirs.
MSP_PACKAGES_CLIENTS=(waagent cloud-init isc-dhcp-client dnsmasq-base openssh-client)
# What applications of guests use: the SDK that gets tokens, and the library that verifies them (tests/clients).
MSP_PACKAGES_NPM=(nodejs npm)
# The real clients in a root of the next Debian, which boots with its own systemd (scripts/real-clients --boot).
MSP_PACKAGES_BOOTED=(systemd systemd-sysv dbus iproute2 procps openssl openssh-server sudo netplan.io dnsmasq-base
  ca-certificates waagent cloud-init)
# promtool checks the metrics. Unpacked below build/, never installed: its package starts a server.
MSP_PACKAGES_METRICS=(prometheus)
MSP_PACKAGES_FRESH=(debootstrap)
# scripts/package asks dpkg-shlibdeps what the programs link.
MSP_PACKAGES_PACKAGE=(dpkg-dev)
# A root that boots (scripts/service-check): systemd, what our packages depend on, and what the tests call in there.
MSP_PACKAGES_SERVICE=(systemd systemd-sysv dbus iproute2 procps curl libbpf1 libssl3 libspdlog1.10 libfmt9 libstdc++6
  libsqlite3-0 libpugixml1v5)
# Machines that boot other kernels (scripts/vm-check), with tools of this one in them.
MSP_PACKAGES_VM=(qemu-system-x86 cpio kmod util-linux)

# packages GROUP…: the names, one a line.
packages() {
  local group
  for group in "$@"; do
    local -n list="MSP_PACKAGES_${group^^}"
    printf '%s\n' "${list[@]}"
  done
}

# missing_packages GROUP…: those that are not installed.
missing_packages() {
  local name
  packages "$@" | while read -r name; do
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" == installed ]] || printf '%s\n' "$name"
  done
}

# install_packages GROUP…: what is missing, and nothing at all when nothing is.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} == 0)); then return 0; fi
  say "installing ${#missing[@]} packages: ${missing[*]}"
  quietly "$MSP_TOP/build/packages.log" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
}

# The mirror that this machine uses, in either format of source lists.
# shellcheck disable=SC2016  # the format is for apt
debian_mirror() {
  apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 2>/dev/null |
    awk '$2 == "bookworm" && $3 == "main" { print $1; exit }'
}

readonly MSP_CLIENTS=$MSP_TOP/build/clients
clients_fetched() { [[ "$(cat "$MSP_CLIENTS/fetched" 2>/dev/null)" == "${MSP_PACKAGES_CLIENTS[*]}" ]]; }

# fetch_clients: the real clients, and those of their dependencies that this machine has not.
fetch_clients() {
  if clients_fetched; then return 0; fi
  rm -rf "$MSP_CLIENTS"
  mkdir -p "$MSP_CLIENTS/partial"
  quietly "$MSP_TOP/build/clients.log" apt-get install -y --no-install-recommends --download-only \
    -o Dir::Cache::archives="$MSP_CLIENTS" "${MSP_PACKAGES_CLIENTS[@]}" || return
  printf '%s\n' "${MSP_PACKAGES_CLIENTS[*]}" >"$MSP_CLIENTS/fetched"
}

readonly MSP_PROMTOOL=$MSP_TOP/build/promtool
# fetch_promtool: the one program of its package, as build/promtool/promtool.
fetch_promtool() {
  if [[ -x "$MSP_PROMTOOL/promtool" ]]; then return 0; fi
  rm -rf "$MSP_PROMTOOL"
  mkdir -p "$MSP_PROMTOOL"
  (cd "$MSP_PROMTOOL" && quietly "$MSP_TOP/build/promtool.log" apt-get -o APT::Sandbox::User=root download "${MSP_PACKAGES_METRICS[@]}" &&
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin/promtool && rm prometheus_*.deb)
}

readonly MSP_NPM_CLIENTS=$MSP_TOP/build/clients-npm
npm_clients_fetched() { cmp -s "$MSP_TOP/tests/clients/azure-identity/package-lock.json" "$MSP_NPM_CLIENTS/fetched"; }

# fetch_npm_clients: exactly the versions of the lock file, without running any script of theirs.
fetch_npm_clients() {
  if npm_clients_fetched; then return 0; fi
  local from=$MSP_TOP/tests/clients/azure-identity
  command -v npm >/dev/null || install_packages npm || return
  rm -rf "$MSP_NPM_CLIENTS"
  mkdir -p "$MSP_NPM_CLIENTS"
  cp "$from/package.json" "$from/package-lock.json" "$MSP_NPM_CLIENTS/"
  quietly "$MSP_TOP/build/clients-npm.log" npm ci --prefix "$MSP_NPM_CLIENTS" --ignore-scripts --no-audit --no-fund ||
    return
  cp "$from/package-lock.json" "$MSP_NPM_CLIENTS/fetched"
}
