"""The zip around a torch checkpoint, checked before anything in it is unpickled.

torch.save writes the CRC-32 of each member, and torch.load does not look at it: a flipped bit in a tensor is another
number. With `torch.serialization.set_crc32_options(False)` every CRC-32 is written as 0, which is no checksum. Files
from before torch 1.6 are no zips and have none.
"""

import contextlib
import zipfile
import zlib
from collections.abc import Generator, Iterable
from pathlib import Path

from grokinterp.errors import GrokinterpError

MAX_INFLATION = 4
"""torch stores tensors uncompressed; a zip that grows more than this is no checkpoint."""

CHUNK = 2**20
"""Bytes of a member that are in memory at a time."""


def check_archive(path: Path) -> None:
    """Compare each member of a zip with its checksum; a file that is no zip is left for torch to read.

    Raises:
        GrokinterpError: damaged, or it would unpack to much more than it is.
    """
    with _opened(path) as archive:
        if archive is None:
            return
        size, on_disk = sum(entry.file_size for entry in archive.infolist()), path.stat().st_size
        if size > MAX_INFLATION * max(on_disk, 2**20):
            raise GrokinterpError(
                f"{path} would unpack to {size:,} bytes, {size // max(on_disk, 1):,} times its size; "
                "torch does not compress, so this is no checkpoint"
            )
        if _has_checksums(archive):
            _check_members(archive, path)


def unchecked(paths: Iterable[Path]) -> list[str]:
    """A note that names the zips among these files that were written without checksums; none where all have them."""
    names = [path.name for path in paths if _lacks_checksums(path)]
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    verb, it = ("was", "it") if len(names) == 1 else ("were", "them")
    return [f"{shown} {verb} written without checksums, so damage in {it} cannot be seen"]


def _lacks_checksums(path: Path) -> bool:
    with _opened(path) as archive:
        return archive is not None and not _has_checksums(archive)


@contextlib.contextmanager
def _opened(path: Path) -> Generator[zipfile.ZipFile | None]:
    """The zip; None where it is none."""
    try:
        archive = zipfile.ZipFile(path) if zipfile.is_zipfile(path) else None
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise GrokinterpError(f"{path} is damaged or no torch file (BadZipFile); get it again") from None
    with archive or contextlib.nullcontext():
        yield archive


def _has_checksums(archive: zipfile.ZipFile) -> bool:
    """Whether any CRC-32 is there; that of no bytes is 0 in any case."""
    filled = [entry for entry in archive.infolist() if entry.file_size]
    return not filled or any(entry.CRC for entry in filled)


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    for entry in archive.infolist():
        try:
            with archive.open(entry) as member:
                while member.read(CHUNK):
                    pass
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError):
            raise GrokinterpError(
                f"{path} is damaged ({entry.filename[:100]!r} in it does not match its checksum); get it again"
            ) from None
