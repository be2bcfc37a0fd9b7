# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Looks at the machine before anything is done to it. Sourced after common.sh and packages.sh.
# Everything that is missing is named at once, each with its remedy; the caller ends with status 2 and nothing half done.
# Uses only what a minimal Debian has: bash, util-linux, perl-base, apt.

preflight_problems=()

# problem "what is missing" "remedy"
problem() { preflight_problems+=("$1"$'\n'"    remedy: $2"); }

# bpf(BPF_MAP_CREATE) for an array of one element: the cheapest call that shows the kernel lets us.
bpf_works() {
  perl -e '
    my $number = `uname -m` =~ /^x86_64/ ? 321 : 280;
    my $attr = pack("L5", 2, 4, 8, 1, 0) . "\0" x 100;
    exit(syscall($number, 0, $attr, length $attr) < 0 ? 1 : 0);'
}

namespaces_work() { unshare --net --mount true 2>/dev/null; }

# shellcheck disable=SC2016  # expands in the new namespace
bpffs_works() {
  unshare --mount bash -c 'd=$(mktemp -d) && mount -t bpf bpf "$d" && umount "$d"; s=$?; rmdir "$d"; exit $s' 2>/dev/null
}

cgroup2_mount() { awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts; }

cgroup2_works() {
  local dir
  dir="$(cgroup2_mount)/msp-preflight-$$"
  mkdir "$dir" 2>/dev/null && rmdir "$dir"
}

check_system() {
  local id version
  id=$(. /etc/os-release 2>/dev/null && echo "${ID:-}") version=$(. /etc/os-release 2>/dev/null && echo "${VERSION_ID:-}")
  if [[ "$id" != debian || "$version" != 12 ]]; then
    problem "this is ${id:-an unknown system} ${version:-}, the scripts are written for Debian 12 (bookworm)" \
      "use a Debian 12 machine or virtual machine; elsewhere build by hand as README.md says"
  fi
  case "$(uname -m)" in
    x86_64 | aarch64) ;;
    *) problem "architecture $(uname -m) is not supported" "use an x86-64 or arm64 machine" ;;
  esac
  local free
  free=$(df --output=avail -k "$MSP_TOP" | tail -n 1)
  if ((free < 4000000)); then
    problem "only $((free / 1024)) MB free for the build in $MSP_TOP" "free 4 GB, or clone to a larger file system"
  fi
}

check_kernel() {
  if [[ ! -r /sys/kernel/btf/vmlinux ]]; then
    problem "the kernel has no type information (/sys/kernel/btf/vmlinux)" \
      "run a kernel built with CONFIG_DEBUG_INFO_BTF, as Debian's are (apt install linux-image-amd64, reboot)"
  fi
  if [[ -z "$(cgroup2_mount)" ]]; then
    problem "no cgroup v2 hierarchy is mounted" "mount it: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"
  elif ! cgroup2_works; then
    problem "no cgroup can be made under $(cgroup2_mount)" \
      "mount the hierarchy read-write; in a container: give it its own writable cgroup namespace, or use a virtual machine"
  fi
  if ! bpf_works; then
    problem "the kernel refuses bpf()" "run as real root with CAP_BPF; in a container: --privileged, or use a virtual machine"
  elif ! bpffs_works; then
    problem "a bpf file system cannot be mounted" "run with CAP_SYS_ADMIN in the initial user namespace"
  fi
  if ! namespaces_work; then
    problem "network and mount namespaces cannot be made" "run with CAP_SYS_ADMIN; in a container: --privileged, or use a virtual machine"
  fi
}

# check_packages GROUP…: can the missing ones be had?
check_packages() {
  local missing log
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} == 0)); then return 0; fi
  log=$(mktemp)
  if ! timeout 120 apt-get -qq -o Acquire::Retries=1 -o APT::Update::Error-Mode=any update >"$log" 2>&1; then
    problem "the package source cannot be reached ($(tail -n 1 "$log"))" \
      "check the network and /etc/apt/sources.list, or install these by hand first: ${missing[*]}"
  elif ! apt-get install --simulate --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    problem "packages cannot be installed ($(grep '^E:' "$log" | head -n 1))" \
      "enable Debian 12's main, updates and security sources, and finish any broken install (apt-get -f install)"
  fi
  rm -f "$log"
}

# preflight GROUP…: returns if this machine will do, else ends the script with status 2.
preflight() {
  check_system
  if ((EUID != 0)); then
    problem "this must run as root (it attaches kernel hooks and makes network namespaces)" "sudo ${0}"
  else
    check_kernel
    check_packages "$@"
  fi
  if ((${#preflight_problems[@]} == 0)); then return 0; fi
  say "This machine is not ready; nothing was changed:"
  local text
  for text in "${preflight_problems[@]}"; do say "  - $text"; done
  exit 2
}
