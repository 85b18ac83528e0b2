"""The flags of `python -m trainer tune`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting.settings.parser import Defaults
from trainer.cli import spec_arguments
from trainer.fitting.lightfm_model import LOSSES
from trainer.preparing.splits import SPLITS
from trainer.study.options import StudyOptions


def add(commands: Any, data_dir: Path) -> None:
    """Add the command's parser."""
    own = StudyOptions()
    space = own.space
    tune = commands.add_parser(
        "tune",
        help="search for better hyperparameters",
        description="Search for hyperparameters that do better on a validation split of the training "
        "data. The test interactions are used once, at the end. Writes study.json and study.png.",
        formatter_class=Defaults,
    )
    tune.add_argument("--data-dir", type=Path, default=data_dir, help="where datasets are")
    tune.add_argument(
        "--state",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="for --event-log: where it is",
    )
    spec_arguments.add_data(tune)
    search = tune.add_argument_group("search")
    search.add_argument("--trials", type=int, default=own.trials, help="how many to make")
    search.add_argument(
        "--timeout-seconds",
        type=float,
        default=argparse.SUPPRESS,
        help="begin no trial after it (default: none; with one a search can't be reproduced)",
    )
    search.add_argument("--max-epochs", type=int, default=own.max_epochs, help="of a trial")
    search.add_argument(
        "--epoch-step", type=int, default=own.epoch_step, help="epochs between validations"
    )
    search.add_argument(
        "--patience",
        type=int,
        default=own.patience,
        help="validations without a better value after which a trial ends",
    )
    search.add_argument(
        "--validation",
        choices=[split for split in SPLITS if split != "none"],
        default=argparse.SUPPRESS,
        help="how to hold out validation interactions (default: like the test ones where that is by "
        "time, else random)",
    )
    for name, of in (
        ("components", int),
        ("learning_rate", float),
        ("item_alpha", float),
        ("user_alpha", float),
    ):
        search.add_argument(
            f"--{name.replace('_', '-')}",
            type=of,
            nargs=2,
            default=list(getattr(space, name)),
            metavar=("LOW", "HIGH"),
            help="range to search",
        )
    search.add_argument(
        "--losses", nargs="+", choices=LOSSES, default=list(space.losses), help="to choose among"
    )
    search.add_argument("--seed", type=int, default=own.start.seed, help="of everything random")
    search.add_argument(
        "--threads", type=int, default=own.start.threads, help="only with 1 can a search be reproduced"
    )
    search.add_argument(
        "--sample-weights",
        action="store_true",
        default=False,
        help="multiply each positive's loss by its weight",
    )
    tune.add_argument("--output", type=Path, default=Path("study"), help="folder to write to")
    tune.add_argument("--json", action="store_true", default=False, help="print the result as JSON")
