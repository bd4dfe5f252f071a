"""Download a real data set after its terms are accepted: complete and checked, or not at all.

Data behind an account are not covered. Their owners have tools of their own, named in `Real.how`;
medlab then only shows where the files belong.
"""

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from medlab.datasets import cache
from medlab.datasets.registry import DataSet, File
from medlab.errors import BadInput
from medlab.files import check_new, write_text

LABEL = "fetched.json"  # in every fetched folder: files, addresses, checksums, licence
TIMEOUT = (10, 60)  # seconds to connect, and between two chunks of a file; chosen
CHUNK = 1 << 20  # bytes written at a time


def real_folder(data_set: DataSet) -> Path:
    """Return the folder of the real data set, fetched or copied there by hand."""
    return cache.root() / "real" / data_set.name


def notice(data_set: DataSet, target: Path) -> str:
    """Return what to read before agreeing: licence, terms, size and folder."""
    real = data_set.real
    size = sum(file.megabytes for file in real.files)
    lines = [
        real.title,
        f"  licence  {real.licence}",
        f"  terms    {real.terms}",
        f"  page     {real.page}",
        f"  folder   {target}",
    ]
    if real.files:
        about = f", about {size:,.0f} MB" if size else ""
        lines.append(f"  files    {len(real.files)}{about}")
    return "\n".join(lines)


def by_hand(data_set: DataSet) -> str:
    """Return how to get data that medlab cannot download, and where they belong."""
    return (
        f"medlab cannot download these: {data_set.real.how}\n"
        f"Put them in the folder named above, laid out as {data_set.card} shows,\n"
        f"then run 'medlab data verify {data_set.name}'"
    )


def check_place(data_set: DataSet, target: Path) -> None:
    """Raise BadInput in CI, and if the target is a file or a folder that is not empty."""
    if os.environ.get("CI", "").strip().lower() not in ("", "0", "false"):
        raise BadInput("medlab data fetch does not run in CI (CI is set): use the stand-in instead")
    check_new(target, "remove it, or choose another with --out")


def fetch(data_set: DataSet, target: Path, progress: bool = False) -> list[str]:
    """Download all files of a real data set and move them to the target, which is new or empty.

    Returns a line for each file whose checksum medlab does not know. Raises BadInput for no
    network, a wrong checksum, an interrupted download, a damaged archive, a full disk. The target
    appears only when everything is complete; complete files are kept beside it, so that another
    try continues from them.
    """
    check_place(data_set, target)
    kept = target.parent / f".{target.name}-downloads"
    try:
        kept.mkdir(parents=True, exist_ok=True)
        paths = [_download(file, kept, data_set, progress) for file in data_set.real.files]
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as unfinished:
            whole = Path(unfinished, target.name)
            whole.mkdir()
            for file, path in zip(data_set.real.files, paths, strict=True):
                _place(file, path, whole)
            write_text(whole / LABEL, _label(data_set, paths))
            os.replace(whole, target)
        shutil.rmtree(kept)
    except OSError as error:
        why = error.strerror or type(error).__name__
        fix = "free disk space or fix permissions on its folder, or choose another with --out"
        raise BadInput(f"{error.filename or target} cannot be written ({why}): {fix}") from None
    finally:
        if kept.is_dir() and not any(kept.iterdir()):
            kept.rmdir()
    return [f"{file.name}: no checksum to compare with" for file in _unchecked(data_set)]


def _unchecked(data_set: DataSet) -> list[File]:
    return [file for file in data_set.real.files if not file.checksum]


def _download(file: File, folder: Path, data_set: DataSet, progress: bool) -> Path:
    """Return the file, downloaded unless a complete copy exists; raise BadInput if that fails."""
    try:
        import pooch
        from requests import exceptions as http
    except ImportError:
        raise BadInput("fetching needs pooch, which is not installed: run 'make setup'") from None
    pooch.get_logger().setLevel("WARNING")
    loader = pooch.HTTPDownloader(progressbar=progress, chunk_size=CHUNK, timeout=TIMEOUT)
    at, known = file.name.replace("/", "-"), file.checksum or None
    see = f"see {data_set.real.page}"
    try:
        return Path(pooch.retrieve(file.url, known, fname=at, path=folder, downloader=loader))
    except http.HTTPError as error:
        code = error.response.status_code
        message = f"{file.url} returns HTTP {code}: the file may have moved, {see}"
    except (http.ChunkedEncodingError, http.ReadTimeout):
        message = f"{file.name} was interrupted: run the command again, complete files are kept"
    except (http.ConnectionError, http.ConnectTimeout):
        host = urlsplit(file.url).hostname
        message = f"no connection to {host}: check the network and run the command again"
    except http.RequestException as error:
        message = f"{file.url} cannot be fetched ({type(error).__name__}): {see}"
    except ValueError:  # pooch raises it for a wrong checksum
        message = (
            f"{file.name} is not what its owner published: its checksum is not {file.checksum}; "
            f"run the command again, and if that does not help, {see}"
        )
    raise BadInput(message) from None


def _place(file: File, path: Path, folder: Path) -> None:
    """Put a downloaded file where it belongs, or an archive's content."""
    if not file.unpack:
        (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / file.name)
        return
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        else:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")  # no links and no paths to outside
    except (zipfile.BadZipFile, tarfile.TarError, EOFError):
        path.unlink()
        raise BadInput(f"{file.name} is not a readable archive: run the command again") from None


def _label(data_set: DataSet, paths: list[Path]) -> str:
    files = [
        {"name": file.name, "url": file.url, "sha256": _sha256(path)}
        for file, path in zip(data_set.real.files, paths, strict=True)
    ]
    content = {"data set": data_set.name, "licence": data_set.real.licence, "files": files}
    return json.dumps({"generated": False, **content}, indent=2) + "\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
