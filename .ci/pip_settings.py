"""Writes pip's own settings into a file, and prints podman's options that lend it, and what it names, to a build."""

import configparser
import subprocess
import sys
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs")


def settings() -> dict[str, str]:
    """What `pip config list` says here, without the section: the environment's word before the files'."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name not in found or key.startswith(":env:"):
            found[name] = value.strip("'\"")
    return found


def folders(found: dict[str, str]) -> set[Path]:
    """Those that the settings name; of an index that is a folder the one above, where its links may lead."""
    named = set()
    for word in " ".join(found.values()).split():
        path = Path(word.removeprefix("file://"))
        if not path.is_absolute() or not path.exists():
            continue
        is_index = word.startswith("file:") and path.parent != Path("/")
        named.add(path.parent if is_index or path.is_file() else path)
    return named | ({CERTIFICATES} if CERTIFICATES.is_dir() else set())


def main() -> None:
    target = Path(sys.argv[1])
    found = settings()
    content = configparser.ConfigParser(interpolation=None)
    content["global"] = found
    with target.open("w") as file:
        content.write(file)
    lent = {str(folder): str(folder) for folder in folders(found)} | {str(target): "/etc/pip.conf"}
    for here, there in sorted(lent.items()):
        print(f"--volume={here}:{there}:ro")


if __name__ == "__main__":
    main()
