"""The flags of `python -m trainer tune`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting.options import declared
from lightfm_retriever.hosting.settings import option_flags
from lightfm_retriever.hosting.settings.parser import Defaults
from trainer.cli import spec_arguments, where_arguments
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.study.options import SearchSpace, StudyOptions


def add(commands: Any, defaults: Mapping[str, str]) -> None:
    """Add the command's parser."""
    tune = commands.add_parser(
        "tune",
        help="search for better hyperparameters",
        description="Search for hyperparameters that do better on a validation split of the training "
        "data. The test interactions are used once, at the end. Writes study.json and study.png.",
        formatter_class=Defaults,
    )
    where_arguments.add_data_dir(tune, defaults)
    tune.add_argument(
        "--state",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="for --event-log: where it is",
    )
    spec_arguments.add_data(tune)
    search = tune.add_argument_group("search")
    option_flags.add(search, StudyOptions, SearchSpace)
    start = declared(Hyperparameters)
    option_flags.add_one(search, start["seed"])
    option_flags.add_one(search, start["threads"], help="only with 1 can a search be reproduced")
    option_flags.add_one(search, start["sample_weights"])
    tune.add_argument("--output", type=Path, default=Path("study"), help="folder to write to")
    tune.add_argument("--json", action="store_true", default=False, help="print the result as JSON")
