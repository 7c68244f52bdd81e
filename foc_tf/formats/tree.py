"""Files of a folder or a zip archive, by their path inside it; nothing outside is ever read."""

import os
import pathlib
import zipfile

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
MAX_FILE_BYTES = 2**30
MAX_TOTAL_BYTES = 2**40
# A member that unpacks to more than this many times its size is no image and no table.
_MAX_RATIO = 1000
_RATIO_FROM_BYTES = 2**24


class Tree:
    """Read-only files under names like "a/b.png".

    Links that lead out of a folder are left out and counted in `outside`; hidden files and those
    of macOS's `__MACOSX` are left out silently.

    Attributes:
      path: pathlib.Path of the folder or archive.
      names: sorted list of the files' names.
      outside: names of the links that lead out of the folder.

    Args:
      path: folder or zip archive.
      max_file_bytes: size up to which one file is read.
      max_total_bytes: size up to which an archive unpacks.

    Raises:
      ValueError: if there is no such folder or archive, or an archive is damaged, encrypted,
        unpacks beyond the limits or has names that lead out of it.
    """

    def __init__(
        self,
        path: pathlib.Path | str,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_total_bytes: int = MAX_TOTAL_BYTES,
    ) -> None:
        """See the class."""
        self.path = pathlib.Path(path)
        self.max_file_bytes = max_file_bytes
        self.outside: list[str] = []
        self._archive: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}
        if self.path.is_dir():
            found = _walk(self.path, self.outside)
        elif zipfile.is_zipfile(self.path):
            self._archive = _opened(self.path)
            self._members = _members(self.path, self._archive, max_total_bytes)
            found = self._members
        else:
            what = "a zip archive" if self.path.exists() else "there"
            raise ValueError(f"source: {self.path} is not {what}; give a folder or a zip archive.")
        self.names = sorted(found)
        self._known = set(self.names)

    def __contains__(self, name):
        """Whether there is a file of this name."""
        return name in self._known

    def __str__(self):
        """The path."""
        return str(self.path)

    def hide(self, output: pathlib.Path | str) -> None:
        """Leaves out what a program writes to `output` and beside it, where that is inside."""
        own, folder = os.path.realpath(output), os.path.realpath(self.path)
        if not self.is_archive and own.startswith(folder + os.sep):
            start = os.path.relpath(own, folder).replace(os.sep, "/")
            endings = ("", ".partial", ".partial.json", ".unreadable.csv")
            self._known -= {start + ending for ending in endings}
            self.names = [name for name in self.names if name in self._known]

    @property
    def is_archive(self) -> bool:
        """Whether the files lie in a zip archive."""
        return self._archive is not None

    def on_disk(self, name: str) -> pathlib.Path | None:
        """Path of a file outside an archive, None inside."""
        return None if self.is_archive else self.path / name

    def size(self, name: str) -> int:
        """Size of a file in bytes as its folder or archive says, -1 if it is gone."""
        if self.is_archive:
            return self._members[name].file_size
        try:
            return os.stat(self.path / name).st_size
        except OSError:
            return -1

    def images(self, under: str = "") -> list[str]:
        """Names of the image files below a folder, by their extension."""
        return [n for n in self.names if n.startswith(under) and suffix(n) in IMAGE_EXTENSIONS]

    def find(self, base: str, cell: str, where: str) -> str | None:
        """Name of the file that a table's cell means, None if there is no such file.

        Args:
          base: name of the table's folder, "" for the top.
          cell: path as the table has it, relative to its folder or to `images/` in it.
          where: file and line, for the message.

        Raises:
          ValueError: if the path leads out of the source.
        """
        name = inside(base, cell)
        if name is None:
            raise ValueError(
                f"{where}: image {cell[:200]!r} must be a path relative to the table, inside "
                f"{self.path}."
            )
        return next((n for n in (name, inside(base, "images/" + cell)) if n in self._known), None)

    def read(self, name: str) -> bytes:
        """Bytes of a file.

        Raises:
          ValueError: if it is not there, damaged or above the limit.
        """
        if name not in self._known:
            raise ValueError(f"{self.path}: no file {name!r:.200}.")
        try:
            opened = self._archive.open(self._members[name]) if self._archive is not None else None
            with opened or open(self.path / name, "rb") as file:
                # One byte more than allowed: archives may lie about the size they unpack to.
                content = file.read(self.max_file_bytes + 1)
        except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, NotImplementedError) as error:
            # The message may hold the file's own bytes.
            raise ValueError(
                f"{self.path}: {name!r:.200} cannot be read ({error!s:.200})."
            ) from None
        except Exception as error:
            if type(error).__module__ != "zlib":
                raise
            raise ValueError(f"{self.path}: {name!r:.200} is damaged ({error}).") from None
        return _within(content, f"{self.path}/{name}", self.max_file_bytes)


def read_file(path: pathlib.Path | str, max_bytes: int) -> bytes:
    """Bytes of a file outside any tree; ValueError if it cannot be read or is above the limit."""
    try:
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}).") from None
    return _within(content, path, max_bytes)


def _within(content, what, max_bytes):
    if len(content) > max_bytes:
        raise ValueError(
            f"{what}: larger than {max_bytes / 2**20:.0f} MB; raise --max_file_mb if that is meant."
        )
    return content


def suffix(name: str) -> str:
    """Lower-case extension with its dot."""
    return os.path.splitext(name)[1].lower()


def inside(base: str, relative: str) -> str | None:
    """Name of the file that a table in folder `base` calls `relative`, or None if it leads outside.

    Args:
      base: name of a folder, "" for the top.
      relative: path as a table has it; Windows' separators are taken for ours.
    """
    relative = relative.replace("\\", "/")
    if relative.startswith("/") or "\0" in relative or relative[1:2] == ":":
        return None
    joined = os.path.normpath(os.path.join(base, relative)).replace(os.sep, "/")
    return None if joined.startswith("../") or joined in ("..", ".") else joined


def folder_of(name: str) -> str:
    """Name of the folder in which a file lies, "" for the top."""
    return name.rpartition("/")[0]


def _hidden(part):
    return part.startswith(".") or part == "__MACOSX"


def _walk(root, outside):
    """Names of the files below a folder; links to folders are not followed."""
    found, waiting, real = [], [""], os.path.realpath(root)
    while waiting:
        prefix = waiting.pop()
        for entry in os.scandir(os.path.join(root, prefix)):
            name = prefix + entry.name
            if _hidden(entry.name):
                continue
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                if not target.startswith(real + os.sep):
                    outside.append(name)
                elif os.path.isfile(target):
                    found.append(name)
            elif entry.is_dir():
                waiting.append(name + "/")
            elif entry.is_file():
                found.append(name)
    return found


def _opened(path):
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path}: the zip archive is damaged ({error}).") from None


def _members(path, archive, max_total_bytes):
    """{name: member} of the files of an archive."""
    members, total = {}, 0
    for member in archive.infolist():
        if not member.filename:  # ZipInfo.is_dir would raise IndexError
            raise ValueError(f"{path}: the zip archive is damaged (a member without a name).")
        if member.is_dir():
            continue
        name = inside("", member.filename)
        if name is None or ".." in member.filename.replace("\\", "/").split("/"):
            raise ValueError(
                f"{path}: the archive's member {member.filename!r} leads out of it; do not trust "
                "this file."
            )
        if member.flag_bits & 1:
            raise ValueError(f"{path}: the archive is encrypted; unpack it and give the folder.")
        total += member.file_size
        ratio = member.file_size / max(1, member.compress_size)
        if member.file_size > _RATIO_FROM_BYTES and ratio > _MAX_RATIO:
            raise ValueError(
                f"{path}: member {name!r:.99} would unpack to {ratio:.0f} times its size; this "
                "looks like a zip bomb. If it is meant, unpack it and give the folder."
            )
        if not any(_hidden(part) for part in name.split("/")):
            members[name] = member
    if total > max_total_bytes:
        raise ValueError(
            f"{path}: the archive unpacks to {total / 2**30:.1f} GB, the limit is "
            f"{max_total_bytes / 2**30:.1f}; raise --max_total_gb if that is meant."
        )
    return members
