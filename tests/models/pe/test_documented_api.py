"""The API that docs/private_evolution.md writes out runs, sees released individuals alone, and is named."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "private_evolution.md"


def test_the_api_of_the_documentation_runs_and_its_provenance_is_stated():
    [program] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found = {}
    exec(compile(program, str(PAGE), "exec"), found)
    assert len(found["synthetic"]) == 100
    assert found["synthetic"].pixels.shape[1:] == (1, 8, 8)
    statement = found["fitted"].statement
    assert statement["private"] is True
    assert "simulator: two soft dots" in str(statement["charges"])
