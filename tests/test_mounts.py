"""On which kind of file system a path lies."""

import subprocess
from pathlib import Path

import pytest

from tests.support.disks import small_disk
from ubn_sweep.mounts import file_system, network_file_system

MADE_UP = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 27 0:44 / /home rw,relatime shared:9 master:2 - nfs4 server:/export/home rw,vers=4.2,hard
32 31 254:1 / /home/me/scratch rw,relatime - xfs /dev/vdb rw
33 27 0:45 / /mnt/two\040words rw,relatime - cifs //server/share rw
34 27 0:46 / /lustre rw - lustre 10.0.0.1@tcp:/fs rw
35 27 0:47 / /remote rw - fuse.sshfs me@host: rw
36 27 0:48 / /bindfs rw - fuse.bindfs /dev/fuse rw
37 27 0:49 / /covered rw - nfs server:/old rw
38 27 0:50 / /covered rw - tmpfs tmpfs rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/somewhere/else", None),
        ("/home/me/sweeps/mlflow.db", "nfs4"),
        ("/homes", None),
        ("/home/me/scratch/new/file", None),
        ("/mnt/two words/a", "cifs"),
        ("/lustre/a", "lustre"),
        ("/remote/a", "fuse.sshfs"),
        ("/bindfs/a", None),
        ("/covered/a", None),
    ],
)
def test_a_made_up_table_of_mounts(path, kind):
    assert network_file_system(Path(path), MADE_UP) == kind


def test_the_innermost_mount_counts():
    assert file_system(Path("/home/me/scratch/x"), MADE_UP) == "xfs"
    assert file_system(Path("/home/me"), MADE_UP) == "nfs4"


def test_nothing_is_known_of_an_empty_table():
    assert file_system(Path("/"), "") is None


@pytest.mark.parametrize("path", ["/", "/proc", "/dev/shm"])
def test_the_real_table_says_what_the_system_says(path):
    told = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "-T", path], capture_output=True, text=True, check=True
    )
    assert file_system(Path(path)) == told.stdout.split()[-1]


def test_a_real_mount_below_a_folder_is_seen(tmp_path):
    before = file_system(tmp_path)
    with small_disk(tmp_path, "64k") as disk:
        assert file_system(disk / "a" / "b") == "tmpfs"
        assert file_system(tmp_path) == before
