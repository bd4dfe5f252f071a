"""Download a real data set once its terms are agreed to: whole and checked, or not at all.

What is not covered: data behind an account. Their owners have tools of their own, and `Real.how`
names them; medlab then only says where the files belong.
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
from medlab.files import write_text

LABEL = "fetched.json"  # in every fetched folder: which files came from where, under which licence
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of a file; chosen
PIECE = 1 << 20  # bytes written at a time


def real_folder(data_set: DataSet) -> Path:
    """Return where the real data set lies once it is fetched, or put there by hand."""
    return cache.root() / "real" / data_set.name


def is_there(folder: Path) -> bool:
    """Tell whether a folder holds anything."""
    return folder.is_dir() and any(folder.iterdir())


def notice(data_set: DataSet, target: Path) -> str:
    """Return what a person should read before agreeing: licence, terms, size and place."""
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
    """Return how a person gets data that medlab cannot download, and where they belong."""
    return (
        f"These are fetched by hand: {data_set.real.how}\n"
        f"Put them in the folder named above, laid out as {data_set.card} shows,\n"
        f"then run 'medlab data verify {data_set.name}'"
    )


def check_place(data_set: DataSet, target: Path) -> None:
    """Raise BadInput in CI, and where the folder to fetch to is in the way."""
    if os.environ.get("CI", "").strip().lower() not in ("", "0", "false"):
        raise BadInput("medlab data fetch never runs in CI (CI is set): use the stand-in instead")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadInput(f"{target} is there and not empty: remove it, or name another with --out")


def fetch(data_set: DataSet, target: Path, progress: bool = False) -> list[str]:
    """Download all files of a real data set and move them to the target, which is new or empty.

    Returns a line for each file whose checksum medlab does not know. Raises BadInput in one line
    for no network, a wrong checksum, a download that broke off, a damaged archive, a full disk.
    Until everything is there, the target is not; whole files are kept beside it, so that another
    try goes on from them.
    """
    check_place(data_set, target)
    kept = target.parent / f".{target.name}-downloads"
    try:
        kept.mkdir(parents=True, exist_ok=True)
        came = [_download(file, kept, data_set, progress) for file in data_set.real.files]
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as unfinished:
            whole = Path(unfinished, target.name)
            whole.mkdir()
            for file, path in zip(data_set.real.files, came, strict=True):
                _settle(file, path, whole)
            write_text(whole / LABEL, _label(data_set, came))
            os.replace(whole, target)
        shutil.rmtree(kept)
    except OSError as error:
        said = error.strerror or type(error).__name__
        mend = "make room and the folder writable, or name another with --out"
        raise BadInput(f"{error.filename or target} cannot be written ({said}): {mend}") from None
    finally:
        if kept.is_dir() and not any(kept.iterdir()):
            kept.rmdir()
    return [f"{file.name}: no checksum to hold it against" for file in _unchecked(data_set)]


def _unchecked(data_set: DataSet) -> list[File]:
    return [file for file in data_set.real.files if not file.checksum]


def _download(file: File, folder: Path, data_set: DataSet, progress: bool) -> Path:
    """Return the file, downloaded unless it is there and right; BadInput says what went wrong."""
    try:
        import pooch
        from requests import exceptions as http
    except ImportError:
        raise BadInput("fetching needs pooch, which is not installed: run 'make setup'") from None
    pooch.get_logger().setLevel("WARNING")
    loader = pooch.HTTPDownloader(progressbar=progress, chunk_size=PIECE, timeout=TIMEOUT)
    at, known = file.name.replace("/", "-"), file.checksum or None
    mend = f"see {data_set.real.page}"
    try:
        return Path(pooch.retrieve(file.url, known, fname=at, path=folder, downloader=loader))
    except http.HTTPError as error:
        code = error.response.status_code
        said = f"{file.url} answers {code}: the file may have moved, {mend}"
    except (http.ChunkedEncodingError, http.ReadTimeout):
        said = f"{file.name} broke off on its way: run the command again, whole files are kept"
    except (http.ConnectionError, http.ConnectTimeout):
        host = urlsplit(file.url).hostname
        said = f"no connection to {host}: check the network and run the command again"
    except http.RequestException as error:
        said = f"{file.url} cannot be fetched ({type(error).__name__}): {mend}"
    except ValueError:  # pooch's word for another checksum
        said = (
            f"{file.name} is not what its owner published: its checksum is not {file.checksum}; "
            f"run the command again, and if that does not help, {mend}"
        )
    raise BadInput(said) from None


def _settle(file: File, path: Path, folder: Path) -> None:
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
        raise BadInput(
            f"{file.name} is no archive that can be unpacked: run the command again"
        ) from None


def _label(data_set: DataSet, came: list[Path]) -> str:
    files = [
        {"name": file.name, "url": file.url, "sha256": _sha256(path)}
        for file, path in zip(data_set.real.files, came, strict=True)
    ]
    said = {"data set": data_set.name, "licence": data_set.real.licence, "files": files}
    return json.dumps({"generated": False, **said}, indent=2) + "\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
