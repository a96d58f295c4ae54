# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A folder as a zip that is the same, byte for byte, wherever and whenever it is made.

Names are sorted, times and permissions fixed, and nothing is compressed: what a compressor makes of the same bytes
depends on which zlib the Python at hand was built with. A function of plain Python sources stays small without.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

DEFAULT_EXCLUDE = ("__pycache__", "*.pyc", ".*", "tests")
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
ZIP_LIMIT = 50 * 1024 * 1024
UNZIPPED_LIMIT = 250 * 1024 * 1024

# The earliest time that a zip can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = stat.S_IFREG | 0o644


class PackageError(Exception):
    """The package cannot be made as asked."""


@dataclass(frozen=True)
class Package:
    """The bytes of a zip."""

    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def code_sha256(self) -> str:
        """The digest as Lambda tells it, as CodeSha256."""
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode()

    @property
    def files(self) -> dict[str, str]:
        """The SHA-256 of each file by its name; nothing when this is no zip at all."""
        try:
            with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
                return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
            # Damaged, encrypted, or of a kind unknown here: it is about to be replaced anyway.
            return {}

    def facts(self) -> dict[str, Any]:
        return {
            "sha256": self.sha256,
            "code_sha256": self.code_sha256,
            "size": len(self.content),
            "files": sorted(self.files),
        }


def package_of(
    src: Path,
    prefix: str | None = None,
    exclude: Iterable[str] = DEFAULT_EXCLUDE,
    contents: Mapping[str, Any] | None = None,
) -> Package:
    """The folder ``src`` as a package, under ``prefix`` (the folder's own name when None, the root when empty).

    ``contents`` are further files: their text by their path in the package.
    """
    # The folder's name as it was given: what a link leads to may be called differently elsewhere.
    own_name = Path(os.path.normpath(src.absolute())).name
    prefix = checked_prefix(own_name if prefix is None else prefix)
    paths = package_files(src, exclude)
    if not paths:
        raise PackageError(f"There is nothing to package in {src}: it is empty, or everything in it is excluded.")
    added = added_files(contents or {}, [f"{prefix}{name}" for name in paths])
    _check_unzipped(src, paths.values(), added.values())
    package = Package(zip_bytes({**{f"{prefix}{name}": _read(path) for name, path in paths.items()}, **added}))
    if len(package.content) > ZIP_LIMIT:
        raise PackageError(
            f"The package of {src} has {_mebibytes(len(package.content))}, more than the {_mebibytes(ZIP_LIMIT)} that"
            " Lambda takes in a direct upload."
        )
    return package


def checked_prefix(prefix: str) -> str:
    """The prefix with a slash at its end, or nothing; never one that leads out of the package."""
    parts = [part for part in prefix.split("/") if part]
    if prefix.startswith("/") or "\\" in prefix or any(part in (".", "..") for part in parts):
        raise PackageError(f"prefix must be a relative path without '.' and '..' (it is {prefix!r}).")
    return "".join(f"{part}/" for part in parts)


def added_files(contents: Mapping[str, Any], sources: Iterable[str]) -> dict[str, bytes]:
    """The bytes of files that have no source, by name; never one that leads out of the package or into a source."""
    taken = set(sources)
    added = {}
    for name, text in contents.items():
        if "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise PackageError(f"contents must name relative paths without '.' and '..' (one is {name!r}).")
        if not isinstance(text, str):
            raise PackageError(f"contents must give each file as text; {name} is given as {type(text).__name__}.")
        if name in taken:
            raise PackageError(f"contents names {name}, and there is a source file of that name already.")
        try:
            name.encode()
            added[name] = text.encode()
        except UnicodeEncodeError as exc:
            raise PackageError(f"contents gives {name!r} with characters that UTF-8 does not have.") from exc
    for name in sorted(taken | set(added)):
        folder = next((path for path in _folders(name) if path in taken or path in added), None)
        if folder:
            raise PackageError(f"contents makes {folder} both a file and the folder of {name}.")
    return added


def _folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def package_files(src: Path, exclude: Iterable[str] = DEFAULT_EXCLUDE) -> dict[str, Path]:
    """The files below ``src`` that are not excluded, by their name in it, with slashes on every system."""
    if not src.exists():
        raise PackageError(f"There is no folder {src}.")
    if not src.is_dir():
        raise PackageError(f"{src} is not a folder.")
    root, patterns = src.resolve(), list(exclude)
    found: dict[str, Path] = {}

    def fail(error: OSError) -> None:
        raise PackageError(f"Cannot read the folder {error.filename}: {error.strerror}.")

    for folder, folder_names, file_names in os.walk(root, onerror=fail):
        here = Path(folder)
        names = {name: (here / name).relative_to(root).as_posix() for name in (*folder_names, *file_names)}
        kept = {name: path for name, path in names.items() if not _excluded(path, patterns)}
        folder_names[:] = [name for name in folder_names if name in kept]
        for name in folder_names:
            _refuse_link(here / name)
        found.update({kept[name]: _regular(here / name, root) for name in file_names if name in kept})
    return found


def _excluded(name: str, patterns: list[str]) -> bool:
    """A pattern means the name of a file or folder, or the whole path from the folder packaged."""
    return any(fnmatchcase(name.rpartition("/")[2], pattern) or fnmatchcase(name, pattern) for pattern in patterns)


def _refuse_link(folder: Path) -> None:
    if folder.is_symlink():
        raise PackageError(
            f"{folder} is a link to a folder, which a package cannot hold. Exclude it, or put the files there."
        )


def _regular(path: Path, root: Path) -> Path:
    """The path of a file that may be packaged; a link is one when it leads to a file within the folder."""
    if path.is_symlink() and root not in path.resolve().parents:
        raise PackageError(f"{path} is a link out of the folder that is packaged. Exclude it, or put the file there.")
    if not path.is_file():
        raise PackageError(f"{path} is not a regular file. Exclude it.")
    try:
        path.name.encode()
    except UnicodeEncodeError as exc:
        raise PackageError(f"The name {path.name!r} in {path.parent} is not UTF-8. Exclude or rename it.") from exc
    return path


def _check_unzipped(src: Path, paths: Iterable[Path], added: Iterable[bytes]) -> None:
    """Refuse what Lambda refuses before it is read into memory."""
    size = sum(path.stat().st_size for path in paths) + sum(map(len, added))
    if size > UNZIPPED_LIMIT:
        raise PackageError(
            f"The files of {src} have {_mebibytes(size)}, more than the {_mebibytes(UNZIPPED_LIMIT)} that Lambda"
            " unzips."
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise PackageError(f"Cannot read {path}: {exc.strerror}.") from exc


def _mebibytes(size: int) -> str:
    return f"{size / (1024 * 1024):.1f} MiB"


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """A zip of the files by name, which depends on nothing but those names and bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, files[name], zipfile.ZIP_STORED)
    return buffer.getvalue()


def existing_package(dest: Path) -> Package | None:
    """The package at ``dest``, None when there is none."""
    if dest.is_dir():
        raise PackageError(f"dest must be the path of a zip, but {dest} is a folder.")
    if not dest.exists():
        return None
    return Package(_read(dest))


def check_apart(src: Path, dest: Path) -> None:
    """Refuse a package inside the folder that it is made of: the next one would hold this one."""
    if src.resolve() in dest.resolve().parents:
        raise PackageError(f"dest must be outside of src: {dest} is in {src}.")


def shown(package: Package | None) -> dict[str, Any]:
    """The package as one side of a difference: its files, each with its digest."""
    return {"files": dict(sorted(package.files.items())), "sha256": package.sha256} if package else {}
