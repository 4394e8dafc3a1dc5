"""Who lives: told by locks, which end with their process however that ends."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from debug_mcp.service.instance import Instance

HOLD = """
import sys
from pathlib import Path
from debug_mcp.service.instance import Instance

with Instance(Path(sys.argv[1])).alive() as instance:
    print(instance.id, flush=True)
    sys.stdin.read()
"""


def test_a_server_lives_until_it_ends(tmp_path: Path) -> None:
    one, other = Instance(tmp_path), Instance(tmp_path)
    assert not other.lives(one.id)
    with one.alive():
        assert one.lives(one.id)
        assert other.lives(one.id)
    assert not other.lives(one.id)
    assert list(tmp_path.iterdir()) == []


def test_who_ends_or_comes_changes_what_is_known(tmp_path: Path) -> None:
    one, other = Instance(tmp_path), Instance(tmp_path)
    with one.alive():
        alone = one.known()
        assert alone == {(one.id, True)}
        (tmp_path / "killed.lock").touch()
        (tmp_path / f"{one.id}.sock").touch()
        with other.alive():
            assert one.known() == {(one.id, True), (other.id, True), ("killed", False)}
        assert one.known() == alone | {("killed", False)}


def test_a_server_that_is_killed_does_not_live(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        instance = process.stdout.readline().strip()
        assert Instance(tmp_path).lives(instance)
        process.kill()
    assert not Instance(tmp_path).lives(instance)
    assert (tmp_path / f"{instance}.lock").exists()


def test_two_that_look_at_once_do_not_take_each_other_for_the_dead_one(tmp_path: Path) -> None:
    dead = tmp_path / "dead.lock"
    dead.touch()
    looking = os.open(dead, os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not Instance(tmp_path).lives("dead")
    os.close(looking)


def test_the_files_of_killed_servers_are_forgotten_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "killed.lock").write_text("4242")
    (tmp_path / "coming.lock").touch()
    one = Instance(tmp_path)
    with one.alive(), Instance(tmp_path).alive() as other:
        one.forget_killed()
        assert {path.stem for path in tmp_path.iterdir()} == {one.id, other.id, "coming"}
