# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest harness's parts that need no guest."""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.guest import cache, prepare
from tests.guest.channel import Channel, GuestError
from tests.guest.inside.wire import MARKER, Frame, FrameReader, Kind
from tests.guest.qemu import EMULATED, Accelerator, Setup, accelerator
from tests.guest.recipe import Recipe, Source, Suite, debian_lines, read_sources

RECIPE = Recipe(Suite.BOOKWORM)


class TestFingerprint:
    def test_is_the_same_each_time(self) -> None:
        assert RECIPE.fingerprint == Recipe(Suite.BOOKWORM).fingerprint

    @pytest.mark.parametrize(
        "other",
        [
            replace(RECIPE, suite=Suite.TRIXIE),
            replace(RECIPE, packages=(*RECIPE.packages, "vim")),
            replace(RECIPE, options=(*RECIPE.options, "--variant=standard")),
            replace(RECIPE, settle=RECIPE.settle + "true\n"),
            replace(RECIPE, finish=RECIPE.finish + "true\n"),
            replace(RECIPE, drop=()),
            replace(RECIPE, files=(*RECIPE.files, ("etc/motd", "hello\n"))),
            replace(RECIPE, size="5G"),
        ],
    )
    def test_changes_with_each_part(self, other: Recipe) -> None:
        assert other.fingerprint != RECIPE.fingerprint

    def test_the_folder_is_named_by_suite_and_fingerprint(self) -> None:
        assert RECIPE.folder == f"bookworm-{RECIPE.fingerprint}"


class TestSources:
    HERE = (
        Source("http://mirror/debian/", "bookworm", "main"),
        Source("http://mirror/debian/", "bookworm-updates", "main"),
        Source("http://security/debian-security/", "bookworm-security", "main"),
    )

    def test_other_components_and_other_lines_are_left_out(self) -> None:
        said = "http://m/debian/\tbookworm\tmain\nhttp://m/debian/\tbookworm\tnon-free\n\nW: strange\n"
        assert read_sources(said) == (Source("http://m/debian/", "bookworm", "main"),)

    def test_the_guest_uses_this_machines_mirrors_with_contrib(self) -> None:
        assert debian_lines(self.HERE, "bookworm", Suite.BOOKWORM) == (
            "deb http://mirror/debian/ bookworm main contrib",
            "deb http://mirror/debian/ bookworm-updates main contrib",
            "deb http://security/debian-security/ bookworm-security main contrib",
        )

    def test_another_suite_comes_from_the_same_mirrors(self) -> None:
        assert debian_lines(self.HERE, "bookworm", Suite.TRIXIE) == (
            "deb http://mirror/debian/ trixie main contrib",
            "deb http://mirror/debian/ trixie-updates main contrib",
            "deb http://security/debian-security/ trixie-security main contrib",
        )

    def test_stable_is_a_name_of_the_machines_release(self) -> None:
        sources = (Source("http://m/debian/", "stable", "main"),)
        assert debian_lines(sources, "trixie", Suite.TRIXIE) == ("deb http://m/debian/ trixie main contrib",)

    def test_sources_that_are_not_debian_are_left_out(self) -> None:
        foreign = Source("https://deb.example.org/node/", "nodistro", "main")
        assert "example" not in " ".join(debian_lines((*self.HERE, foreign), "bookworm", Suite.BOOKWORM))

    def test_no_mirror_at_all_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="no mirror of Debian bookworm"):
            debian_lines((), "bookworm", Suite.BOOKWORM)

    def test_a_security_mirror_alone_is_not_enough(self) -> None:
        with pytest.raises(ValueError, match="no mirror"):
            debian_lines(self.HERE[2:], "bookworm", Suite.BOOKWORM)


class TestBroken:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "image"
        folder.mkdir()
        with (folder / "disk").open("wb") as file:
            file.write(b"x" * 100_000)
            file.seek(10_000_000)
            file.write(b"end")
        (folder / "kernel").write_bytes(b"kernel")
        cache.finish(folder)
        return folder

    def test_a_finished_folder_is_whole(self, folder: Path) -> None:
        assert cache.why_broken(folder) == ""
        assert cache.why_broken(folder, thorough=True) == ""

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert cache.why_broken(tmp_path / "none") == "it is not there"

    def test_no_marker_means_half_built(self, folder: Path) -> None:
        (folder / cache.MARKER).unlink()
        assert cache.why_broken(folder) == "it was never finished"

    def test_a_marker_that_cannot_be_read(self, folder: Path) -> None:
        (folder / cache.MARKER).write_text('{"disk"')
        assert "marker cannot be read" in cache.why_broken(folder)

    def test_a_missing_file(self, folder: Path) -> None:
        (folder / "kernel").unlink()
        assert cache.why_broken(folder) == "kernel is missing"

    def test_another_size(self, folder: Path) -> None:
        os.truncate(folder / "disk", 5_000_000)
        assert cache.why_broken(folder) == "disk has 5000000 bytes instead of 10000003"

    def test_other_content_written_later(self, folder: Path) -> None:
        with (folder / "disk").open("r+b") as file:
            file.seek(5_000_000)
            file.write(b"!")
        os.utime(folder / "disk", (1, 1))
        assert cache.why_broken(folder) == "disk has another checksum"

    def test_other_content_under_the_same_time_is_found_when_thorough(self, folder: Path) -> None:
        before = (folder / "kernel").stat()
        (folder / "kernel").write_bytes(b"KERNEL")
        os.utime(folder / "kernel", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert cache.why_broken(folder) == ""
        assert cache.why_broken(folder, thorough=True) == "kernel has another checksum"

    def test_a_copy_without_holes_is_whole(self, folder: Path) -> None:
        data = (folder / "disk").read_bytes()
        (folder / "disk").unlink()
        (folder / "disk").write_bytes(data)
        assert cache.why_broken(folder) == ""

    def test_data_moved_within_a_file_is_found(self, folder: Path) -> None:
        with (folder / "disk").open("r+b") as file:
            file.write(b"\0" * 100_000)
            file.seek(2 * cache.BLOCK)
            file.write(b"x" * 100_000)
        assert cache.why_broken(folder) == "disk has another checksum"

    def test_a_discarded_folder_is_gone(self, folder: Path) -> None:
        cache.discard(folder)
        assert not folder.exists()


def _append_under_lock(folder: Path, output: Path, ready: threading.Event) -> None:
    ready.set()
    with cache.locked(folder), output.open("a") as file:
        file.write("second\n")


def test_two_makers_wait_for_each_other(tmp_path: Path) -> None:
    output = tmp_path / "output"
    processes = multiprocessing.get_context("spawn")
    ready = processes.Event()
    with cache.locked(tmp_path / "image"):
        other = processes.Process(target=_append_under_lock, args=(tmp_path / "image", output, ready))
        other.start()
        assert ready.wait(60)
        other.join(0.3)
        assert other.exitcode is None
        output.write_text("first\n")
    other.join(60)
    assert output.read_text() == "first\nsecond\n"


class TestQemu:
    INTEL = "processor : 0\nflags\t\t: fpu vmx sse\n"
    AMD = "flags : fpu svm\n"
    BARE = "model name : vmx-looking svm\nflags : fpu sse vmxish\n"

    @pytest.mark.parametrize(
        ("cpuinfo", "works", "expected"),
        [
            (INTEL, True, Accelerator.KVM),
            (AMD, True, Accelerator.KVM),
            (INTEL, False, Accelerator.TCG),
            (BARE, True, Accelerator.TCG),
            ("", False, Accelerator.TCG),
        ],
    )
    def test_kvm_needs_the_flag_and_the_device(
        self, cpuinfo: str, works: bool, expected: Accelerator
    ) -> None:
        assert accelerator(cpuinfo, kvm_works=works) is expected

    def test_emulated(self) -> None:
        words = Setup(Path("/i/vmlinuz"), Path("/i/initrd.img"), Accelerator.TCG).command()
        assert _after("-accel", words) == ["tcg,thread=multi"]
        assert _after("-cpu", words) == [EMULATED]
        assert _after("-kernel", words) == ["/i/vmlinuz"]
        assert "-loadvm" not in words

    def test_with_kvm(self) -> None:
        words = Setup(Path("/i/vmlinuz"), Path("/i/initrd.img"), Accelerator.KVM).command("booted")
        assert _after("-accel", words) == ["kvm"]
        assert _after("-cpu", words) == ["host"]
        assert _after("-loadvm", words) == ["booted"]

    def test_the_guest_has_no_way_out(self) -> None:
        words = Setup(Path("/k"), Path("/i"), Accelerator.TCG).command()
        assert _after("-netdev", words) == ["user,id=net,restrict=on"]
        assert "hostfwd" not in " ".join(words)


def _after(option: str, words: Iterable[str]) -> list[str]:
    words = list(words)
    return [words[index + 1] for index, word in enumerate(words) if word == option]


class TestFrames:
    def read_all(self, data: bytes, piece: int) -> list[Frame]:
        pieces = iter([data[start : start + piece] for start in range(0, len(data), piece)])
        reader = FrameReader(lambda size: next(pieces, b""))
        return list(iter(reader.next, None))

    FRAMES = (Frame(Kind.RUN, 1, b"{}"), Frame(Kind.OUT, 7, bytes(range(256)) * 300), Frame(Kind.INPUT, 1))

    @pytest.mark.parametrize("piece", [1, 7, 4096, 1 << 20])
    def test_frames_come_out_as_they_went_in(self, piece: int) -> None:
        assert self.read_all(b"".join(frame.encoded() for frame in self.FRAMES), piece) == list(self.FRAMES)

    @pytest.mark.parametrize(
        "garbage",
        [
            b"x",
            b"login: root\n" * 9,
            MARKER,
            MARKER[:3],
            MARKER + b"\xff" * 20,
            Frame(Kind.OUT, 1, b"y" * 99).encoded()[30:],
        ],
    )
    @pytest.mark.parametrize("piece", [1, 4096])
    def test_garbage_before_a_frame_is_passed_over(self, garbage: bytes, piece: int) -> None:
        whole = Frame(Kind.SYNC, 0, b"nonce")
        assert self.read_all(garbage + whole.encoded() + whole.encoded(), piece)[-1] == whole

    def test_a_half_frame_at_the_end_is_dropped(self) -> None:
        assert self.read_all(Frame(Kind.OUT, 1, b"half").encoded()[:-1], 4096) == []


def test_a_guest_that_goes_away_fails_what_runs_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "agent.sock"))
        listener.listen()
        channel = Channel(tmp_path / "agent.sock")
        running = channel.start(Kind.RUN, {"argv": ["sleep"]}, ["sleep"])
        listener.accept()[0].close()
        with pytest.raises(GuestError, match="sleep: the connection to the guest ended"):
            running.wait(60)
        channel.close()


class TestMissingPackages:
    def test_nothing_where_all_is_there(self, tmp_path: Path) -> None:
        assert prepare.missing_packages(lambda name: f"/usr/bin/{name}", tmp_path) == []

    def test_each_package_once(self, tmp_path: Path) -> None:
        missing = prepare.missing_packages(lambda name: None, tmp_path / "no-keyring")
        assert missing == [
            "qemu-system-x86",
            "qemu-utils",
            "mmdebstrap",
            "e2fsprogs",
            "util-linux",
            "gpg",
            "debian-archive-keyring",
        ]
