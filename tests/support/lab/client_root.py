# SPDX-License-Identifier: Apache-2.0
"""A throw-away root in which waagent and cloud-init run, unmodified, and can change nothing of this machine.

This machine's root lies under a tmpfs that takes every write (overlay). The clients' packages are unpacked into it,
never installed: no script of theirs runs, no service starts. A program in it has mount, pid, uts and ipc namespaces of
its own, the guest's network, no block device, and the cgroup that the test gives it: its unit.
"""
import os
import shutil
import stat
import subprocess
import textwrap
from pathlib import Path

from .lab import Lab
from .world import Place, run

# The shell stays as process 1: waagent takes a child of process 1 for an orphan and leaves.
ENTER = """
set -e
root=$1 && shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
hostname vm01
chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
"""
# A machine of its own as far as namespaces go; what is the kernel's alone cannot be written or called from in there.
BOOT = """
set -e
root=$1
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys" && mount --bind "$root/proc/sys/net" "$root/proc/sys/net"  # its own
mount -o remount,bind,ro "$root/proc/sys"
if [ -e /proc/sysrq-trigger ]; then mount --bind "$root/dev/null" "$root/proc/sysrq-trigger"; fi
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
# What systemd makes on a machine, and expects to be there in a container.
mount -t bpf -o mode=0700 bpf "$root/sys/fs/bpf"
mkdir "$root/dev/pts" && mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" && ln -s pts/ptmx "$root/dev/ptmx"
hostname vm01
cd "$root" && mkdir -p .old && pivot_root . .old
exec setpriv --bounding-set -sys_time,-sys_module,-sys_boot,-sys_rawio,-mknod chroot . env -i PATH=/usr/sbin:/usr/bin \
  sh -c 'umount -l /.old && exec /lib/systemd/systemd'
"""
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
# Provisioning is left to cloud-init, disks and firewall alone; everything else is the package's default.
WAAGENT_CHANGES = {"Provisioning.Agent": "cloud-init", "ResourceDisk.Format": "n", "OS.RootDeviceScsiTimeout": None,
                   "AutoUpdate.Enabled": "n", "Logs.Console": "n", "Logs.Verbose": "y", "OS.EnableFirewall": "n"}
CLOUD_CONFIG = """
datasource_list: [Azure]
growpart: {mode: 'off'}
resize_rootfs: false
ssh_deletekeys: false
ssh_genkeytypes: []
cloud_init_modules: [write-files, set_hostname, users-groups, ssh]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user, final-message]
"""
OVF = """<?xml version="1.0" encoding="utf-8"?>
<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:wa="http://schemas.microsoft.com/windowsazure">
 <wa:ProvisioningSection><wa:Version>1.0</wa:Version>
  <LinuxProvisioningConfigurationSet xmlns="http://schemas.microsoft.com/windowsazure">
   <ConfigurationSetType>LinuxProvisioningConfiguration</ConfigurationSetType>
   <HostName>vm01</HostName><UserName>azureuser</UserName>
   <DisableSshPasswordAuthentication>true</DisableSshPasswordAuthentication>
  </LinuxProvisioningConfigurationSet></wa:ProvisioningSection>
 <wa:PlatformSettingsSection><wa:Version>1.0</wa:Version>
  <PlatformSettings xmlns="http://schemas.microsoft.com/windowsazure"><ProvisionGuestAgent>true</ProvisionGuestAgent>
  </PlatformSettings></wa:PlatformSettingsSection>
</Environment>
"""
# Where the kernel has no DMI tables: what they would say on this cloud.
DMIDECODE = """#!/bin/sh
case "$*" in
  *chassis-asset-tag*) echo 7783-7084-3265-9085-8269-3286-77 ;;
  *system-uuid*) echo 5f1c6f5e-9d61-4a52-8a3b-0d8b7f1f6c01 ;;
esac
"""


class ClientRoot:
    """`lower` is the root below; `packages` come on top of it, if it has not the clients itself."""

    def __init__(self, lab: Lab, packages: Path | None, lower: Path = Path("/")):
        self._lab = lab
        store = lab.folder / "clients"
        self.path = store / "root"
        store.mkdir()
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(store))
        lab.world.on_close(run, "umount", str(store))
        for name in ("root", "upper", "work"):
            (store / name).mkdir(mode=0o755)
        run("mount", "-t", "overlay", "-o", f"lowerdir={lower},upperdir={store}/upper,workdir={store}/work", "overlay",
            str(self.path))
        lab.world.on_close(run, "umount", str(self.path))
        self._cover("dev")
        self._cover("run")
        self._make_devices()
        self._forget_this_machine()
        if packages is not None:
            self._unpack(packages)

    def _cover(self, name: str) -> None:
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(self.path / name))
        self._lab.world.on_close(run, "umount", str(self.path / name))

    def _forget_this_machine(self) -> None:
        """That it may be a container, or a guest of that cloud itself."""
        (self.path / ".dockerenv").unlink(missing_ok=True)
        for name in ("waagent", "cloud"):
            shutil.rmtree(self.path / "var/lib" / name, ignore_errors=True)

    def _make_devices(self) -> None:
        """No disk among them."""
        folder = self.path / "dev"
        for name, minor in DEVICES.items():
            os.mknod(folder / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            (folder / name).chmod(0o666)
        (folder / "fd").symlink_to("/proc/self/fd")
        (folder / "shm").mkdir()

    def _unpack(self, packages: Path) -> None:
        archives = sorted(packages.glob("*.deb"))
        if not archives:
            raise RuntimeError(f"no packages in {packages}: 'scripts/real-clients --fetch' gets them")
        for archive in archives:
            # "dpkg -x" would put a directory in the place of the link /lib.
            content = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, capture_output=True).stdout
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", self.path], input=content, check=True)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(textwrap.dedent(text))
        path.chmod(mode)

    def configure(self) -> None:
        self.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")  # names must fail at once
        self.write("/etc/cloud/cloud.cfg.d/99-test.cfg", CLOUD_CONFIG)
        self.write("/var/lib/cloud/seed/azure/ovf-env.xml", OVF)
        if not Path("/sys/class/dmi/id/product_uuid").exists():
            self.write("/usr/sbin/dmidecode", DMIDECODE, 0o755)
        config = self.path / "etc/waagent.conf"
        lines = [line for line in config.read_text().splitlines() if line.split("=")[0].strip() not in WAAGENT_CHANGES]
        lines += [f"{key}={value}" for key, value in WAAGENT_CHANGES.items() if value is not None]
        self.write("/etc/waagent.conf", "\n".join(lines) + "\n")
        self.write("/var/lib/waagent/.keep", "")
        (self.path / "var/lib/waagent").chmod(0o700)
        key = self.path / "etc/ssh/ssh_host_rsa_key"
        if not key.exists():
            key.parent.mkdir(exist_ok=True)
            run("chroot", str(self.path), "ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", "/etc/ssh/ssh_host_rsa_key")

    def forget_waagent(self) -> None:
        """A stale pid file makes waagent leave, or wait for ever."""
        for file in self.path.glob("run/*waagent*"):
            file.unlink()

    def popen(self, place: Place, argv: list[str], **options) -> subprocess.Popen:
        return place.popen(["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER,
                            "sh", self.path, *argv], stdin=subprocess.DEVNULL, cwd="/", **options)

    def boot(self, place: Place, log: Path) -> subprocess.Popen:
        """The root's own systemd as process 1, and all units that it has enabled."""
        with open(log, "ab") as out:
            return place.popen(["unshare", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork", "--kill-child", "sh",
                                "-c", BOOT, "sh", self.path], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/")

    def run(self, place: Place, argv: list[str], timeout: float = 20) -> str:
        """What it prints."""
        process = self.popen(place, argv, stdout=subprocess.PIPE, text=True)
        try:
            return process.communicate(timeout=timeout)[0]
        finally:
            process.kill()
            process.wait()
