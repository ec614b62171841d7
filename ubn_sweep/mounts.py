"""What kind of file system a path lies on, as Linux tells it; nothing is known elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs",
    "pvfs2", "smb3", "smbfs", "wekafs",
}  # fmt: skip
NETWORK_IN_USER_SPACE = (
    "ceph",
    "gcsfuse",
    "gluster",
    "goofys",
    "juicefs",
    "mount_s3",
    "rclone",
    "s3fs",
    "sshfs",
)
"""After `fuse.`; local file systems live there, too."""
_ESCAPED = re.compile(r"\\([0-7]{3})")


def file_system(path: Path, mountinfo: str | None = None) -> str | None:
    """The kind of file system of a path, which need not exist yet: `ext4`, `nfs4`; None where it is not known.

    Args:
        mountinfo: the table of mounts, proc(5); None reads this process's own.
    """
    if mountinfo is None:
        try:
            mountinfo = MOUNTINFO.read_text(errors="replace")
        except OSError:  # no Linux
            return None
    place, found, longest = path.absolute().resolve(), None, -1
    for line in mountinfo.splitlines():
        mount, separator, rest = line.partition(" - ")
        fields = mount.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), fields[4]))
        # Of two at one place the later one covers the earlier.
        if place.is_relative_to(point) and len(point.parts) >= longest:
            found, longest = rest.split(" ")[0], len(point.parts)
    return found


def network_file_system(path: Path, mountinfo: str | None = None) -> str | None:
    """The kind of file system of a path where other machines share it over a network; None elsewhere."""
    kind = file_system(path, mountinfo)
    if kind is None:
        return None
    in_user_space = kind.startswith("fuse.") and kind.removeprefix("fuse.").startswith(NETWORK_IN_USER_SPACE)
    return kind if kind in NETWORK or in_user_space else None
