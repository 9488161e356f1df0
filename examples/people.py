"""Writes people.csv: 2,000 people who do not exist, for the examples. `python examples/people.py`"""

from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 2000
REGIONS = ("north", "south", "east", "west")


def people(rows: int = ROWS, seed: int = 7) -> pd.DataFrame:
    """Rows with dependences worth keeping: of income on age and education, of illness on smoking and age."""
    draw = np.random.default_rng(seed)
    age = np.clip(draw.gamma(9, 5, rows).round(), 18, 95).astype(int)
    region = draw.choice(REGIONS, rows, p=[0.4, 0.3, 0.2, 0.1])
    education = np.clip((draw.normal(1.2, 0.9, rows) - (age > 70) * 0.5).round(), 0, 3).astype(int)
    working = (age < 66) & (draw.random(rows) < 0.8)
    income = np.where(working, draw.lognormal(9.9 + 0.25 * education + 0.008 * (age - 18), 0.35), 0).round(2)
    smoker = draw.random(rows) < np.where(region == "east", 0.4, 0.2) - 0.04 * education
    ill = draw.random(rows) < 0.04 + 0.2 * smoker + 0.004 * (age - 18)
    days = np.minimum(draw.exponential(np.where(ill, 90, 400)), 3600).astype(int)
    return pd.DataFrame(
        {
            "id": [f"P-{n:05}" for n in draw.permutation(rows)],
            "age": age,
            "region": region,
            "education": np.array(["primary", "school", "college", "university"])[education],
            "income": income,
            "smoker": np.where(draw.random(rows) < 0.05, "", np.where(smoker, "yes", "no")),
            "last_visit": (np.datetime64("2024-12-31") - days).astype(str),
            "ill": np.where(ill, "yes", "no"),
        }
    )


if __name__ == "__main__":
    people().to_csv(Path(__file__).with_name("people.csv"), index=False)
