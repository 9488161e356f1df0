"""datalens: a generator trained on noisy votes (`recipe.py`, `teachers.py`, `student.py`, `image_postprocessing.py`,
`fitted.py`)."""

from dpsynth.models.datalens.recipe import DataLens

__all__ = ["DataLens"]
