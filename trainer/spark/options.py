"""Defines the options for training on Spark."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.errors import OptionError
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.models.given import GivenHyperparameters

LIGHTFM, ENGINE = "lightfm", "spark-als"

_LOCAL = re.compile(r"local(\[(\d+|\*)(,\d+)?\])?")
_CLUSTER = re.compile(r"spark://[^/,\s]+:\d+(,[^/,\s]+:\d+)*|k8s://(https?://)?[^/,\s]+(:\d+)?(/\S*)?")
# Hyperparameters that ALS has, too (components is its rank). Only LightFM has the others.
_SHARED = ("components", "epochs", "seed", "sample_weights")


@dataclass(frozen=True, kw_only=True)
class SparkAls:
    """The settings of MLlib's implicit ALS (Hu, Koren and Volinsky 2008), and of the cluster.

    Attributes:
        als_regularization: L2 penalty. MLlib multiplies it by the number of pairs of a user or item.
        als_alpha: confidence of a pair is 1 + alpha, or 1 + alpha * weight with sample weights.
    """

    spark_master: Annotated[
        str,
        Option(
            "address of the cluster: local[N], spark://HOST:PORT or k8s://HOST:PORT", metavar="MASTER"
        ),
    ] = "local[*]"
    spark_conf: Annotated[
        dict[str, str],
        Option("a setting of Spark; may be given several times", metavar="KEY=VALUE", repeated=True),
    ] = field(default_factory=dict)
    als_regularization: Annotated[
        float, Option("L2 penalty for each pair of a user or item", ge=0, lt=math.inf)
    ] = 0.1
    als_alpha: Annotated[
        float,
        Option("how much more a seen pair counts than an unseen one", gt=0, lt=math.inf),
    ] = 1.0

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        if not _LOCAL.fullmatch(self.spark_master) and not _CLUSTER.fullmatch(self.spark_master):
            raise OptionError(
                "--spark-master", self.spark_master, "local[N], spark://HOST:PORT or k8s://HOST:PORT"
            )
        for name, value in self.spark_conf.items():
            if not name.startswith("spark."):
                raise OptionError("--spark-conf", f"{name}={value}", "of a setting named spark.*")
            if name == "spark.master":
                raise OptionError("--spark-conf", f"{name}={value}", "given as --spark-master")
        options.check(self, OptionError)

    @property
    def is_local(self) -> bool:
        """Whether Spark runs on this machine only, in one Java process."""
        return _LOCAL.fullmatch(self.spark_master) is not None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Return host and port of each master; an empty list for a local one."""
        if self.is_local:
            return []
        rest = self.spark_master.partition("://")[2]
        port = "80" if rest.startswith("http://") else "443"
        parts = re.sub(r"^https?://", "", rest).partition("/")[0].split(",")
        found = [part.rpartition(":") if ":" in part else (part, ":", port) for part in parts]
        return [(host.strip("[]"), int(number)) for host, _, number in found]


def refuse_what_lightfm_has(
    hyperparameters: GivenHyperparameters, learning: Mapping[str, str | bool]
) -> None:
    """Raise OptionError for options of LightFM that ALS lacks.

    Args:
        hyperparameters: those that a user gave. A stored spec may have LightFM's defaults.
        learning: the values of --item-features, --user-features and --warm-start, by flag.
    """
    usual = asdict(Hyperparameters())
    for name, value in asdict(hyperparameters).items():
        if name not in _SHARED and value not in (None, usual[name]):
            raise _refusal(f"--{name.replace('_', '-')}", value)
    for flag, value in learning.items():
        if value:
            raise _refusal(flag, value)


def _refusal(flag: str, value: object) -> OptionError:
    return OptionError(flag, value, f"left out with --engine {ENGINE}: it is for --engine {LIGHTFM}")
