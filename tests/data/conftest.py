"""Where the real files are, and frames of garbage that every reader must survive."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data sets: DPSYNTH_TEST_DATA, else ../shared/data beside the repository."""
    folder = Path(os.environ.get("DPSYNTH_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data sets in {folder}; set DPSYNTH_TEST_DATA")
    return folder
