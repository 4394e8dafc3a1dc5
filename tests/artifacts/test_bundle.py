"""Bundles: the same bytes for the same files, and nothing read that was not written so."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from debug_mcp.artifacts.bundle import MANIFEST, Part, Refused, check, write

PARTS = [Part("evidence.json", b"{}\n"), Part("commands/c_1/output", b"x" * 1000)]
ABOUT = {"id": "x_1"}


def made(*parts: Part) -> bytes:
    target = io.BytesIO()
    write(target, ABOUT, parts or PARTS)
    return target.getvalue()


def edited(edit: Callable[[list[tuple[tarfile.TarInfo, bytes]]], object]) -> bytes:
    """Return a bundle whose members somebody changed with a usual program for tar."""
    members = []
    with tarfile.open(fileobj=io.BytesIO(made())) as source:
        for info in source:
            file = source.extractfile(info)
            members.append((info, b"" if file is None else file.read()))
    edit(members)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    # Without what the program fills its last record with.
    data = target.getvalue()
    end = sum(512 + -(-len(content) // 512) * 512 for _, content in members)
    return data[: end + 1024]


def test_the_same_files_are_the_same_bundle_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "output").write_bytes(b"x" * 1000)
    of_file = Part("commands/c_1/output", tmp_path / "output")
    assert made(of_file, PARTS[0]) == made()
    checked = check(io.BytesIO(made()))
    assert (checked.whole, checked.files, checked.about["id"]) == (True, 2, "x_1")


def test_any_program_for_tar_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(made())) as archive:
        assert archive.getnames() == [MANIFEST, "commands/c_1/output", "evidence.json"]


def test_each_file_that_is_missing_changed_or_extra_is_named() -> None:
    def edit(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        del members[1]
        members[1] = (members[1][0], b"[]\n")
        members.append((tarfile.TarInfo("more"), b"new"))

    checked = check(io.BytesIO(edited(edit)))
    assert not checked.whole
    assert checked.missing == ["commands/c_1/output"]
    assert checked.changed == ["evidence.json"]
    assert checked.extra == ["more"]


def _link(kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    return info, b""


@pytest.mark.parametrize(
    "member",
    [
        (tarfile.TarInfo("../outside"), b"x"),
        (tarfile.TarInfo("/etc/passwd"), b"x"),
        (tarfile.TarInfo("a/../../b"), b"x"),
        (tarfile.TarInfo("a\\b"), b"x"),
        (tarfile.TarInfo(".hidden"), b"x"),
        _link(tarfile.SYMTYPE),
        _link(tarfile.LNKTYPE),
        _link(tarfile.CHRTYPE),
        _link(tarfile.FIFOTYPE),
        _link(tarfile.DIRTYPE),
    ],
    ids=lambda member: f"{member[0].name}-{member[0].type.decode()}",
)
def test_what_could_do_harm_when_it_is_unpacked_is_refused(
    member: tuple[tarfile.TarInfo, bytes],
) -> None:
    with pytest.raises(Refused):
        check(io.BytesIO(edited(lambda members: members.append(member))))


@pytest.mark.parametrize("twice", [0, 1])
def test_a_name_that_stands_for_two_contents_is_refused(twice: int) -> None:
    with pytest.raises(Refused, match="twice"):
        check(io.BytesIO(edited(lambda members: members.append(members[twice]))))


def test_a_size_that_is_only_claimed_is_refused() -> None:
    data = bytearray(made())
    start = data.index(b"evidence.json\0")
    info = tarfile.TarInfo("evidence.json")
    info.size = 8**11 - 1
    data[start : start + 512] = info.tobuf(tarfile.USTAR_FORMAT)
    with pytest.raises(Refused, match="cut off"):
        check(io.BytesIO(bytes(data)))


@pytest.mark.parametrize("length", [0, 100, 512, 1000, -1, -512, -1024])
def test_one_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(Refused):
        check(io.BytesIO(made()[:length]))


def test_nothing_can_be_hidden_behind_a_file_or_the_end() -> None:
    data = made()
    with pytest.raises(Refused):
        check(io.BytesIO(data + b"x"))
    padding = data.rindex(b"{}\n") + 3
    with pytest.raises(Refused, match="hidden"):
        check(io.BytesIO(data[:padding] + b"x" + data[padding + 1 :]))


def test_a_compressed_archive_is_not_unpacked_to_look() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(MANIFEST))
    with pytest.raises(Refused):
        check(io.BytesIO(target.getvalue()))


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({"format": "other 1", "files": []}).encode(),
        json.dumps({"format": "debug-mcp evidence 1", "files": [{"name": "a"}]}).encode(),
        json.dumps(
            {
                "format": "debug-mcp evidence 1",
                "files": [{"name": "../a", "size": 1, "sha256": "0" * 64}],
            }
        ).encode(),
    ],
    ids=range(7),
)
def test_a_manifest_that_says_something_else_is_refused(manifest: bytes) -> None:
    def edit(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[0] = (members[0][0], manifest)

    with pytest.raises(Refused):
        check(io.BytesIO(edited(edit)))
