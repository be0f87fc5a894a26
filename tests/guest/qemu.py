# SPDX-License-Identifier: GPL-3.0-or-later
"""How QEMU is called: pure functions from what this machine can do to a command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PROGRAM = "qemu-system-x86_64"
DISK = "disk.qcow2"
INSIDE = "inside.tar"
AGENT_SOCKET = "agent.sock"
MONITOR_SOCKET = "monitor.sock"
CONSOLE = "console.log"
EMULATED = "Nehalem"
"""The processor that software emulation plays. What later ones have (AVX, five-level page tables) is slow
where no hardware does it: pools, datasets, send and receive took 9.3 s of processor time, not 13.0 s."""


class Accelerator(StrEnum):
    """What runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


def accelerator(cpuinfo: str, *, kvm_works: bool) -> Accelerator:
    """KVM where the processor has it and the device opens.

    A /dev/kvm on a processor without vmx or svm was seen to spin for ever on a stock kernel.
    """
    flags = {word for line in cpuinfo.splitlines() if line.startswith("flags") for word in line.split()}
    return Accelerator.KVM if kvm_works and flags & {"vmx", "svm"} else Accelerator.TCG


@dataclass(frozen=True, slots=True)
class Setup:
    """One QEMU: where the image's kernel lies, how it is run, and with how much."""

    kernel: Path
    initrd: Path
    accelerator: Accelerator
    memory_mib: int = 4096
    processors: int = 2

    def command(self, load: str = "") -> tuple[str, ...]:
        """The command line, to be run in the machine's own folder; ``load`` names a saved state."""
        kvm = self.accelerator is Accelerator.KVM
        how = ("-accel", "kvm", "-cpu", "host") if kvm else ("-accel", "tcg,thread=multi", "-cpu", EMULATED)
        restore = ("-loadvm", load) if load else ()
        return (
            *(PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"),
            *how,
            *("-smp", str(self.processors), "-m", str(self.memory_mib)),
            *("-kernel", str(self.kernel), "-initrd", str(self.initrd)),
            *("-append", "root=/dev/vda rw console=ttyS0 loglevel=4 systemd.show_status=false"),
            *("-drive", f"file={DISK},if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap"),
            *("-device", "virtio-blk-pci,drive=disk,serial=root"),
            *("-drive", f"file={INSIDE},if=none,id=inside,format=raw,readonly=on"),
            *("-device", "virtio-blk-pci,drive=inside,serial=inside"),
            *("-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=agent,path={AGENT_SOCKET},server=on,wait=off"),
            *("-device", "virtserialport,chardev=agent,name=cyber-zfs-backup"),
            *("-chardev", f"socket,id=monitor,path={MONITOR_SOCKET},server=on,wait=off"),
            *("-mon", "chardev=monitor,mode=control"),
            *("-device", "virtio-rng-pci", "-rtc", "base=utc,clock=host", "-serial", f"file:{CONSOLE}"),
            # A way out to this machine's services or the network is not wanted, so restrict=on.
            *("-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile="),
            *restore,
        )
