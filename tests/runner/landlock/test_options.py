"""What the level ``landlock`` is offered for, and what it names to the kernel."""

import os
import struct
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy
from debug_mcp.errors import Unavailable
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner import boundary as boundary_module
from debug_mcp.runner.boundary import choose_boundary
from debug_mcp.runner.landlock import calls, options, rules

ALLOW, KILL = 0x7FFF0000, 0x80000000


def test_each_version_of_the_kernel_takes_away_what_it_knows() -> None:
    sizes = {abi: len(rules.attributes(abi, network=False)) for abi in range(1, 8)}
    assert sizes == {1: 8, 2: 8, 3: 8, 4: 16, 5: 16, 6: 24, 7: 24}
    rights = [rules.handled(abi) for abi in (1, 2, 3, 4, 5, 7)]
    assert rights == [0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF, 0xFFFF]
    assert struct.unpack("=3Q", rules.attributes(6, network=True)) == (0xFFFF, 0, 3)


def test_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "not used for root" in (options.probe() or "")


@pytest.mark.parametrize(
    ("version", "said"), [(0, "has no Landlock"), (2, r"too old \(version 2; 3 is needed\)")]
)
def test_a_kernel_without_enough_of_it_says_so(
    monkeypatch: pytest.MonkeyPatch, version: int, said: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(rules, "version", lambda: version)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(options.probe())


def test_it_is_tried_for_real_and_taken_only_where_bwrap_does_not_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if rules.version() < rules.LEAST_ABI:
        pytest.skip("this kernel's Landlock is missing or too old")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert options.probe() is None
    monkeypatch.setattr(boundary_module, "BWRAP_PATH", str(tmp_path))
    for policy in (IsolationPolicy.AUTO, IsolationPolicy.REQUIRE_LANDLOCK):
        boundary = choose_boundary(policy)
        assert boundary.isolation is Isolation.LANDLOCK
        assert "bwrap is not installed; Landlock confines" in (boundary.why or "")
    with pytest.raises(Unavailable, match=r"bwrap is not installed.*--isolation require:landlock"):
        choose_boundary(IsolationPolicy.REQUIRE_BWRAP)


def test_where_neither_works_a_policy_that_requires_it_fails_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(boundary_module, "BWRAP_PATH", str(tmp_path))
    monkeypatch.setattr(rules, "version", lambda: 0)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match=r"no Landlock.*install bubblewrap"):
        choose_boundary(IsolationPolicy.REQUIRE_LANDLOCK)
    assert choose_boundary(IsolationPolicy.AUTO).isolation is Isolation.NONE


@pytest.mark.bwrap
def test_the_best_of_both_is_the_sandbox() -> None:
    assert choose_boundary(IsolationPolicy.REQUIRE_LANDLOCK).isolation is Isolation.BWRAP


def test_a_folder_around_what_is_hidden_is_given_but_for_that(tmp_path: Path) -> None:
    for name in ("a/one", "a/hidden/secret", "b"):
        (tmp_path / name).mkdir(parents=True)
    said = options.access([tmp_path], tmp_path / "a" / "hidden", (), ())
    assert [word for word in said if word.startswith(str(tmp_path))] == [
        str(tmp_path / "a" / "one"), str(tmp_path / "b"),
    ]  # fmt: skip


class Filter:
    """Runs a program of the packet filter, as the kernel does."""

    def __init__(self, machine: calls.Machine, *, network: bool) -> None:
        self._machine = machine
        self._lines = list(struct.iter_unpack("=HBBI", calls.program(machine, network=network)))

    def verdict(self, number: int, first: int = 0, audit: int | None = None) -> int:
        read = {0: number, 4: self._machine.audit if audit is None else audit, 16: first}
        at = held = 0
        while True:
            code, if_true, if_false, value = self._lines[at]
            at += 1
            match code:
                case 0x20:
                    held = read[value]
                case 0x06:
                    return int(value)
                case _:
                    holds = {0x15: held == value, 0x35: held >= value, 0x45: held & value != 0}
                    at += if_true if holds[code] else if_false


@pytest.mark.parametrize("name", calls.MACHINES)
def test_the_filter_refuses_what_it_lists_and_nothing_else(name: str) -> None:
    machine = calls.MACHINES[name]
    offline, online = (Filter(machine, network=network) for network in (False, True))
    assert offline.verdict(0) == ALLOW
    assert offline.verdict(0, audit=0x40000003) == KILL
    for number in machine.refused:
        assert online.verdict(number) & 0xFFFF == 1
    assert online.verdict(machine.clone3) & 0xFFFF == 38
    assert online.verdict(machine.clone, 0x1200011) == ALLOW  # a fork
    for flag in (0x20000, 0x10000000, 0x20000000, 0x40000000, 0x4000000, 0x8000000, 0x2000000):
        assert online.verdict(machine.clone, flag | 17) & 0xFFFF == 1
    for family in (2, 10):
        assert offline.verdict(machine.socket, family) & 0xFFFF == 101
        assert online.verdict(machine.socket, family) == ALLOW
    for family in (1, 16, 17, 38, 40):
        assert online.verdict(machine.socket, family) & 0xFFFF == 13
    if machine.has_x32:
        assert offline.verdict(0x40000000) & 0xFFFF == 1
