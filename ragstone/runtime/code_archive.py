"""Our code as one archive, for machines of a cluster where it is not installed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

PACKAGES: Final = ("ragstone", "spark_jobs")
_PROJECT: Final = Path(__file__).resolve().parents[2]
# A fixed date, so that equal code gives equal bytes.
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def write_code_archive(folder: Path) -> Path:
    """Write `ragstone.zip` with the packages that Spark's workers import into a folder and return its path.

    Needs the packages as files: a driver that itself runs from such an archive has been given one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ragstone.zip"
    scratch = path.with_suffix(".new")
    with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in PACKAGES:
            for file in sorted((_PROJECT / package).rglob("*.py")):
                archive.writestr(zipfile.ZipInfo(str(file.relative_to(_PROJECT)), _DATE), file.read_bytes())
    return scratch.replace(path)
