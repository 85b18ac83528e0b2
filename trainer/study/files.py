"""The files of a search for hyperparameters: its figures and its picture."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from lightfm_retriever.files.durable import write_durably
from trainer.study.study import StudyResult

FIGURES = "study.json"
PICTURE = "study.png"


def write_study(result: StudyResult, directory: Path) -> list[Path]:
    """Write the result as JSON and, where matplotlib is installed, a picture; returns the files.

    Raises:
        OSError: the directory can't be written. What was there is left as it was.
    """
    directory.mkdir(parents=True, exist_ok=True)
    content = json.dumps(asdict(result), indent=2, ensure_ascii=False, allow_nan=False)
    files = {directory / FIGURES: content.encode() + b"\n"}
    try:
        from trainer.study import picture
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
    else:
        files[directory / PICTURE] = picture.draw(result)
    for path, data in files.items():
        write_durably(path.with_name(f".{path.name}.new"), data, path)
    return list(files)
