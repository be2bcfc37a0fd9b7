# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Guests that boot another kernel with this machine's own files in memory: kernels, the files, a run. For scripts/vm-check.
# Sourced after common.sh and packages.sh. Everything is below build/vm.

# The Debian release that has each kernel, and the package that depends on its newest. No release of Debian has 5.15, the
# oldest that we say we run on: that one is Ubuntu 22.04's first, two files that do not change.
# shellcheck disable=SC2034  # for the script that sources this
VM_KERNELS=(6.1 6.12 5.15 5.10)
readonly VM_MUST_HAVE=6.1 # the one of the release that all this is written for
declare -A VM_RELEASE=([5.10]=bullseye [5.15]=files [6.1]=bookworm [6.12]=bookworm)
declare -A VM_PACKAGE=([5.10]=linux-image-cloud-amd64 [5.15]=linux-image-unsigned-5.15.0-25-generic
  [6.1]=linux-image-cloud-amd64 [6.12]=linux-image-6.12-cloud-amd64)
readonly VM_POOL=http://archive.ubuntu.com/ubuntu/pool/main/l/linux
VM_FILES=(linux-image-unsigned-5.15.0-25-generic_5.15.0-25.25_amd64.deb
  ac69df20790c48217eb1386ef81fd10d3f20a4ede4dab81cc107c65d29549fa0
  linux-modules-5.15.0-25-generic_5.15.0-25.25_amd64.deb
  d0ba4087d9e1d497925b3481d3531fba6c2a852855f8019d73b0b1385aa4da1f)
# What is tried on it, where that is not the demo (scripts/lib/vm-init).
declare -A VM_SCENARIO=([5.10]=refusal)
# What the scenarios need of a kernel that Debian builds as modules.
VM_MODULES=(veth)
readonly VM=$MSP_TOP/build/vm
VM_SECONDS=${VM_SECONDS:-300} # of boot, scenarios and end; the demo alone takes 20 to 40

# vm_apt RELEASE tool arguments…: apt-get or apt-cache for that release. Another than this machine's own has sources and
# lists of its own here: nothing of it can be installed by mistake.
vm_apt() {
  local release=$1 tool=$2 home=$VM/apt-$1
  shift 2
  if [[ "$release" == bookworm ]]; then
    timeout 300 "$tool" -o APT::Sandbox::User=root "$@"
    return
  fi
  mkdir -p "$home/lists/partial" "$home/cache/archives/partial"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$(debian_mirror)" "$release" >"$home/sources.list"
  timeout 300 "$tool" -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$home/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$home/lists" -o Dir::Cache="$home/cache" -o Acquire::Languages=none "$@"
}

# vm_package NAME: which package the kernel is in today.
vm_package() {
  local release=${VM_RELEASE[$1]} package=${VM_PACKAGE[$1]}
  if [[ "$release" == files ]]; then
    printf '%s\n' "$package"
    return
  fi
  if [[ "$release" != bookworm ]]; then
    quietly "$VM/$1.log" vm_apt "$release" apt-get -q -o Acquire::Retries=1 -o APT::Update::Error-Mode=any update || return
  fi
  vm_apt "$release" apt-cache depends "$package" 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }' | grep .
}

# vm_download NAME PACKAGE: into the current folder.
vm_download() {
  if [[ "${VM_RELEASE[$1]}" != files ]]; then
    vm_apt "${VM_RELEASE[$1]}" apt-get -q download "$2"
    return
  fi
  local i
  for ((i = 0; i < ${#VM_FILES[@]}; i += 2)); do
    timeout 300 /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$VM_POOL/${VM_FILES[i]}" "${VM_FILES[i]}" "SHA256:${VM_FILES[i + 1]}" || return
  done
}

# vm_fetch_kernel NAME: its image and modules, as VM/NAME/vmlinuz and VM/NAME/modules.cpio. What is there is kept until
# there is a newer one, and used where that cannot be asked.
vm_fetch_kernel() {
  local name=$1 home=$VM/$1 package version file
  mkdir -p "$VM"
  package=$(vm_package "$name") || package=$(cat "$home/made" 2>/dev/null) || return
  if [[ "$(cat "$home/made" 2>/dev/null)" == "$package" ]]; then return 0; fi
  rm -rf "$home" && mkdir -p "$home/root"
  (cd "$home" && quietly "$home.log" vm_download "$name" "$package") || return
  for file in "$home"/*.deb; do
    dpkg-deb --fsys-tarfile "$file" | tar -x -C "$home/root" || return
  done
  version=${package#linux-image-} version=${version#unsigned-}
  mv "$home/root/boot/vmlinuz-$version" "$home/vmlinuz" && vm_modules "$home" "$version" || return
  rm -rf "$home"/*.deb "$home/root"
  printf '%s\n' "$package" >"$home/made"
}

# vm_modules HOME VERSION: VM_MODULES and what they depend on, named so that they load in the order of their names. One
# that is built in is not there.
vm_modules() {
  local home=$1 version=$2 module path number=10
  depmod -b "$home/root" "$version" || return
  mkdir -p "$home/tree/modules"
  for module in "${VM_MODULES[@]}"; do
    modprobe -d "$home/root" -S "$version" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" { print $2 }' |
      while read -r path; do
        cp "$path" "$home/tree/modules/$number-${path##*/}" && number=$((number + 1))
      done
  done
  vm_pack "$home/tree" "$home/modules.cpio"
}

# vm_pack FOLDER FILE: not compressed, an emulated machine would take longer to unpack it than to read it.
vm_pack() { (cd "$1" && find . -print0 | cpio --null --quiet -o -H newc -R 0:0) >"$2"; }

# What the scenarios call, besides our programs.
VM_TOOLS=(sh bash python3 ip curl mount umount nsenter runuser unshare setpriv insmod cat ls mkdir ln cp mv rm chmod chown sleep
  timeout uname grep find sed id env true false pgrep getent)

# vm_files PROGRAMS: the guest's file system as VM/files.cpio: this machine's own tools, the programs and the scenarios.
vm_files() {
  local programs tree=$VM/files tool file
  programs=$(readlink -f "$1")
  local -a wanted
  rm -rf "$tree"
  mkdir -p "$tree"/{proc,sys,dev,run,tmp,root,etc,openmsp,usr/bin,usr/sbin,usr/lib,usr/lib64,var/tmp}
  chmod 1777 "$tree/tmp" "$tree/var/tmp"
  for file in bin sbin lib lib64; do ln -s "usr/$file" "$tree/$file"; done
  for tool in "${VM_TOOLS[@]}"; do
    file=$(PATH=/usr/bin:/usr/sbin type -P "$tool") || { say "no $tool here"; return 1; }
    vm_put "$tree" "$file"
    wanted+=("$(readlink -f "$file")")
  done
  ln -s ../bin/ip "$tree/usr/sbin/ip"
  mkdir -p "$tree/usr/lib/python3.11"
  tar -C /usr/lib/python3.11 -c --exclude=./test --exclude=./idlelib --exclude=./lib2to3 --exclude=./dist-packages . |
    tar -x -C "$tree/usr/lib/python3.11"
  mkdir -p "$tree/openmsp/scripts" "$tree/openmsp/build/release/tests"
  cp -r scripts/lib "$tree/openmsp/scripts/"
  cp -r tests packaging "$tree/openmsp/"
  cp "$programs"/{msp-agent,msp-worker,msp-host,mspctl} "$tree/openmsp/build/release/"
  wanted+=("$programs"/{msp-agent,msp-worker,msp-host,mspctl})
  # Of a whole build also what its tests call, at the place that they were built to call it at.
  while read -r file; do
    install -D "$programs/$file" "$tree/openmsp/build/release/$file" && wanted+=("$programs/$file")
  done < <(cd "$programs" && find tests/bpf tests/worker -maxdepth 1 -type f -perm /100 2>/dev/null)
  mkdir -p "$tree$(dirname "$programs")" && ln -s /openmsp/build/release "$tree$programs"
  mapfile -t -O "${#wanted[@]}" wanted < <(find /usr/lib/python3.11/lib-dynload -name '*.so')
  ldd "${wanted[@]}" 2>/dev/null | awk '$2 == "=>" { print $3 } $1 ~ "^/.*ld-linux" { print $1 }' | sort -u |
    while read -r file; do vm_put "$tree" "$file"; done
  cp /usr/share/base-passwd/passwd.master "$tree/etc/passwd"
  cp /usr/share/base-passwd/group.master "$tree/etc/group"
  printf 'passwd: files\ngroup: files\nhosts: files\n' >"$tree/etc/nsswitch.conf"
  cp scripts/lib/vm-init "$tree/init"
  vm_pack "$tree" "$VM/files.cpio"
}

# vm_put TREE FILE: at the same place, under its own name and, where it is a link, that which it leads to.
vm_put() {
  local tree=$1 file=/usr${2#/usr}
  mkdir -p "$tree$(dirname "$file")"
  cp -L "$file" "$tree$file"
}

# vm_run NAME [PATTERN…]: boots it; 0 if all was as expected. Ends with the machine, or after VM_SECONDS.
vm_run() {
  local name=$1 home=$VM/$1 console=$VM/$1.console scenario
  shift
  scenario=${VM_SCENARIO[$name]:-demo $*}
  cat "$VM/files.cpio" "$home/modules.cpio" >"$home/initrd"
  # Without cx16: a 6.12 kernel double-faulted with it in QEMU 7.2.
  nice timeout --kill-after=10 "$VM_SECONDS" qemu-system-x86_64 -accel tcg -cpu max,-cx16 -smp 1 -m 1500 -nodefaults \
    -no-reboot -display none -serial stdio -kernel "$home/vmlinuz" -initrd "$home/initrd" \
    -append "console=ttyS0 loglevel=4 panic=-1 rdinit=/init -- $scenario" </dev/null >"$console" 2>&1 ||
    say "the machine did not end by itself within $VM_SECONDS s"
  rm -f "$home/initrd"
  vm_said "$name" >&2
  [[ "$(vm_verdict "$name")" == *": as expected" ]]
}

# vm_said NAME: from its scenario's first word to its last, or to where it broke off.
vm_said() { tr -d '\r' <"$VM/$1.console" | sed -n '/^vm: begin/,/^vm: end/p'; }

# vm_verdict NAME: one line of what it said; a machine without a last word has failed.
vm_verdict() {
  vm_said "$1" | awk -v console="${VM#"$MSP_TOP/"}/$1.console" '
    /^vm: begin/ { kernel = $3 " " $4 }
    /^  -----/ { table = 1; next }
    /^$/ { table = 0 }
    table && /^  [^ ]/ { rows++; if (!/NOT AS EXPECTED/) good++ }
    /^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3; tests = sprintf(", tests: %d passed, %d failed", passed, failed) }
    /^vm: end/ { end = $3 }
    END {
      well = end == "0" && rows > 0 && rows == good
      printf "%s, rows passed: %d of %d%s: %s\n", kernel ? kernel : "did not boot", good, rows, tests,
        well ? "as expected" : "FAILED (" console ")"
    }'
}
