"""Files below a URL that pyarrow's file systems take (s3://, gs://, file://), or below a folder: whole or not there.

Importing this module imports no pyarrow: that is done when a storage is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ubn_sweep.errors import UserError
from ubn_sweep.files import write_bytes, written_beside
from ubn_sweep.masking import has_password

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "file")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
BLOCK_BYTES = 2**20


def is_url(place: str) -> bool:
    """Whether a place is a URL, and no path."""
    return _SCHEME.match(place) is not None


def below(place: str, *names: str) -> str:
    """A place below another one; what follows a `?` stays behind."""
    if not is_url(place):
        return str(Path(place, *names))
    parts = urlsplit(place)
    path = "/".join([parts.path.rstrip("/"), *names])
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def check_place(place: str, key: str) -> None:
    """Looks at a place by its words alone. `key` is where the user wrote it.

    Raises:
        UserError: it is no URL that can be taken, or holds a password.
    """
    if has_password(place):
        raise UserError(
            f"{key}: a URL with a password would be seen by all who read the spec: leave it out, and give each node "
            "its own credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the machine's role)"
        )
    if not is_url(place):
        if not Path(place).is_absolute():
            raise UserError(f"{key}: is a URL or a whole path, but got `{place}`: write it from / on")
        return
    scheme = urlsplit(place).scheme
    if scheme not in SCHEMES:
        raise UserError(
            f"{key}: takes URLs with {', '.join(SCHEMES)}, but got `{scheme}`: choose one of them"
        )


class Storage:
    """Files at one place, by names such as `checkpoints/0007/state.pt`. All methods raise OSError when out of reach.

    Args:
        place: a URL, or a folder's whole path.

    Raises:
        UserError: pyarrow does not take the URL.
    """

    def __init__(self, place: str) -> None:
        from pyarrow import fs

        self.place = place
        try:
            if is_url(place):
                self._files, self._root = fs.FileSystem.from_uri(place)
            else:
                self._files, self._root = fs.LocalFileSystem(), place
        except (ValueError, NotImplementedError) as error:  # of pyarrow
            reason = str(error).splitlines()[0]
            raise UserError(
                f"storage: `{place}` is not taken ({reason}): give a URL as docs/cluster.md has them"
            ) from error
        self._is_local = isinstance(self._files, fs.LocalFileSystem)

    def write(self, name: str, content: bytes) -> None:
        """A whole file: whoever reads it sees the old one or the new one."""
        if self._is_local:
            write_bytes(Path(self._path(name)), content, to_disk=True)
            return
        with self._files.open_output_stream(self._path(name)) as stream:
            stream.write(content)

    def upload(self, file: Path, name: str) -> None:
        """A file of this machine's, as a whole."""
        with file.open("rb") as source:
            if self._is_local:
                with (
                    written_beside(Path(self._path(name)), to_disk=True) as beside,
                    beside.open("wb") as target,
                ):
                    _copy(source, target)
                return
            with self._files.open_output_stream(self._path(name)) as stream:
                _copy(source, stream)

    def read(self, name: str) -> bytes:
        """A file's content. Raises FileNotFoundError where there is none."""
        with self._files.open_input_stream(self._path(name)) as stream:
            content: bytes = stream.read()
            return content

    def download(self, name: str, file: Path) -> None:
        """A file's content into one of this machine's, whose folder is made."""
        with (
            self._files.open_input_stream(self._path(name)) as stream,
            written_beside(file) as beside,
            beside.open("wb") as target,
        ):
            _copy(stream, target)

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Name -> bytes of all files below a folder, in the order of the alphabet."""
        from pyarrow import fs

        selector = fs.FileSelector(self._path(folder), recursive=True, allow_not_found=True)
        found = self._files.get_file_info(selector)
        return {
            self._name(info.path): info.size
            for info in sorted(found, key=lambda info: info.path)
            if info.type == fs.FileType.File and not Path(info.path).name.startswith(".")
        }

    def folders(self) -> set[str]:
        """Names of the folders right here."""
        from pyarrow import fs

        found = self._files.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
        return {info.base_name for info in found if info.type == fs.FileType.Directory}

    def remove(self, *names: str) -> None:
        """Files; those that are not there are passed over."""
        for name in names:
            if name in self:
                self._files.delete_file(self._path(name))

    def remove_folder(self, folder: str) -> None:
        """All files below it."""
        from pyarrow import fs

        if self._files.get_file_info(self._path(folder)).type == fs.FileType.Directory:
            self._files.delete_dir(self._path(folder))

    def rename(self, name: str, new: str) -> None:
        self._files.move(self._path(name), self._path(new))

    def __contains__(self, name: str) -> bool:
        from pyarrow import fs

        return bool(self._files.get_file_info(self._path(name)).type == fs.FileType.File)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root

    def _name(self, path: str) -> str:
        return path.removeprefix(self._root.rstrip("/") + "/")


def _copy(source: Any, target: Any) -> None:
    for block in _blocks(source):
        target.write(block)


def _blocks(source: Any) -> Iterator[bytes]:
    while block := source.read(BLOCK_BYTES):
        yield block
