"""The sample format of the DataLens project: 10 files whose rows are images and one-hot labels.

Every row is height * width * channels float32 in [0, 1], an image flattened with its channels last, followed by its
label as one-hot numbers: (n / 10, height * width * channels + classes). Written for scripts of that project and never
read here. `datalens` writes .npz files (array `data`), which anything reads without running code. `datalens_pickle`
writes what those scripts open, joblib pickles called eps-E.data-I.pkl: a pickle can run any code when it is opened, so
only open those that you wrote. This is the only file of the package that may touch pickles, and it only writes them.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import joblib
import numpy as np

from dpsynth.data.image.images import Images
from dpsynth.data.table.tabular_files import write_whole

FILES = 10
FORMS = ("datalens", "datalens_pickle")


def rows_of(images: Images) -> np.ndarray:
    """(n, height * width * channels + classes) float32."""
    pixels = images.pixels.transpose(0, 2, 3, 1).reshape(len(images), -1).astype(np.float32) / np.float32(255)
    labels = np.empty((len(images), 0)) if images.labels is None else np.eye(len(images.domain.classes))[images.labels]
    return np.concatenate([pixels, labels.astype(np.float32)], axis=1)


def write(images: Images, folder: str | Path, form: str, epsilon: float | None = None) -> Path:
    """The images as 10 files in a new folder, whole or not at all; sizes of the files differ by one image at most.

    form: one of `FORMS`. epsilon: of the run, in the names of pickles; `inf` when not known.
    """
    folder = Path(folder).expanduser()
    return write_whole(
        folder, lambda temporary: _write(temporary, images, form, math.inf if epsilon is None else epsilon)
    )


def _write(temporary: Path, images: Images, form: str, epsilon: float) -> None:
    temporary.mkdir()
    try:
        for i, index in enumerate(np.array_split(np.arange(len(images)), FILES)):
            rows = rows_of(images.take(index))
            if form == "datalens":
                np.savez_compressed(temporary / f"data-{i}.npz", data=rows)
            else:
                joblib.dump(rows, temporary / f"eps-{epsilon:.2f}.data-{i}.pkl")
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
