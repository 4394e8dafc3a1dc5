"""The copy of ``/etc`` that sandboxes see."""

import os
from pathlib import Path

import pytest

from debug_mcp.runner.etc import UNUSED_SECONDS, current_etc


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    etc = tmp_path / "etc"
    (etc / "ssl" / "certs").mkdir(parents=True)
    (etc / "ssl" / "certs" / "root.pem").write_text("a certificate")
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    (etc / "secret.conf").write_text("nobody's business")
    return etc


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "etc"


def names(copy: Path) -> set[str]:
    return {str(path.relative_to(copy)) for path in copy.rglob("*")}


def test_it_has_what_programs_need_and_nothing_else(etc: Path, folder: Path) -> None:
    copy = current_etc(folder, etc)
    assert names(copy) == {"hosts", "ssl", "ssl/certs", "ssl/certs/root.pem"}
    assert (copy / "ssl" / "certs" / "root.pem").read_text() == "a certificate"


def test_what_not_anybody_may_read_is_not_there(etc: Path, folder: Path) -> None:
    (etc / "ssl" / "private").mkdir(mode=0o710)
    (etc / "ssl" / "private" / "server.key").write_text("a key")
    (etc / "ssl" / "server.key").write_text("a key")
    (etc / "ssl" / "server.key").chmod(0o640)
    assert not any("private" in name or "key" in name for name in names(current_etc(folder, etc)))


def test_links_lead_where_they_did_or_are_what_they_led_to(
    etc: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "stub-resolv.conf").write_text("nameserver 127.0.0.53\n")
    links = {
        "resolv.conf": str(tmp_path / "stub-resolv.conf"),
        "localtime": "/usr/share/zoneinfo/Etc/UTC",
        "ssl/certs/0a1b2c3d.0": "root.pem",
        "ssl/certs/out.pem": "/usr/../tmp/out.pem",
        "ssl/certs/gone.pem": "../../nowhere/gone.pem",
        "ssl/certs/round.pem": "./round.pem",
    }
    for name, target in links.items():
        (etc / name).symlink_to(target)
    copy = current_etc(folder, etc)
    assert (copy / "resolv.conf").read_text() == "nameserver 127.0.0.53\n"
    assert not (copy / "resolv.conf").is_symlink()
    kept = ["localtime", "ssl/certs/0a1b2c3d.0"]
    assert [str((copy / name).readlink()) for name in kept] == [links[name] for name in kept]
    assert "ssl/certs/out.pem" not in names(copy)
    assert "ssl/certs/gone.pem" not in names(copy)


def test_a_change_makes_another_and_leaves_the_first(etc: Path, folder: Path) -> None:
    first = current_etc(folder, etc)
    assert current_etc(folder, etc) == first

    (etc / "hosts").write_text("127.0.0.1 localhost another\n")
    second = current_etc(folder, etc)
    (etc / "ssl" / "certs" / "new.pem").write_text("another certificate")
    third = current_etc(folder, etc)

    assert (first / "hosts").read_text() == "127.0.0.1 localhost\n"
    assert (second / "hosts").read_text() == "127.0.0.1 localhost another\n"
    assert (third / "ssl" / "certs" / "new.pem").exists()
    assert set(folder.iterdir()) == {first, second, third}


def test_one_that_nobody_used_for_long_goes_when_another_comes(etc: Path, folder: Path) -> None:
    first = current_etc(folder, etc)
    (etc / "hosts").write_text("")
    second = current_etc(folder, etc)
    for copy in (first, second):
        os.utime(copy, (0, copy.stat().st_mtime - UNUSED_SECONDS - 1))
    assert current_etc(folder, etc) == second

    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    third = current_etc(folder, etc)

    assert set(folder.iterdir()) == {second, third}
