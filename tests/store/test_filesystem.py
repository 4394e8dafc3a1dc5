"""Which file system a folder is on, by the kernel's list of mounts."""

from pathlib import Path

import pytest

from debug_mcp.errors import Unavailable
from debug_mcp.store.filesystem import NETWORKED, file_system, mounts, require_local

MOUNTED = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:40 / /srv/net rw - nfs4 server:/export rw,vers=4.2
31 30 8:2 / /srv/net/disk rw - xfs /dev/sdb1 rw
32 21 0:41 / /srv/with\040space rw - cifs //server/share rw
33 21 8:3 / /srv/twice rw - ext4 /dev/sdc1 rw
34 21 0:42 / /srv/twice rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/other", "ext4"),
        ("/srv/net", "nfs4"),
        ("/srv/net/deep/er", "nfs4"),
        ("/srv/network", "ext4"),
        ("/srv/net/disk/x", "xfs"),
        ("/srv/with space/x", "cifs"),
        ("/srv/twice", "fuse.sshfs"),
    ],
)
def test_the_innermost_and_latest_mount_counts(folder: str, kind: str) -> None:
    assert file_system(Path(folder), MOUNTED) == kind


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/srv/net")
    assert file_system(tmp_path / "link" / "x", MOUNTED) == "nfs4"


def test_where_nothing_is_known_nothing_is_refused() -> None:
    assert file_system(Path("/srv"), "nonsense\n1 2 3\n") not in NETWORKED


def test_this_machine_can_be_asked(tmp_path: Path) -> None:
    assert file_system(tmp_path, mounts()) != "unknown"


def test_a_data_directory_behind_a_network_is_refused_and_one_on_a_disk_is_not() -> None:
    with pytest.raises(Unavailable, match=r"/srv/net/data is on a network file system \(nfs4\)"):
        require_local(Path("/srv/net/data"), MOUNTED)
    require_local(Path("/srv/net/disk/data"), MOUNTED)
