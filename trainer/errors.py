"""Define the errors of the trainer."""

from __future__ import annotations

from pathlib import Path

from lightfm_retriever.hosting import extras, words


class TrainerError(Exception):
    """The base of all errors of this package."""


class InputError(TrainerError):
    """A file, a column or a row is invalid. `row` counts data rows from 1, without the header."""

    def __init__(self, path: Path, reason: str, *, row: int | None = None) -> None:
        super().__init__(f"{path}, row {row}: {reason}" if row is not None else f"{path}: {reason}")
        self.path = path
        self.reason = reason
        self.row = row


class OptionError(TrainerError):
    """A flag or hyperparameter is invalid; `problem` is the message without the name."""

    def __init__(self, option: str, value: object, expected: str) -> None:
        self.problem = words.wrong(value, expected)
        super().__init__(f"{option} {self.problem}")
        self.option = option
        self.value = value
        self.expected = expected


class ExtraMissingError(TrainerError):
    """A feature needs a package that isn't installed."""

    def __init__(self, what: str, extra: str, module: str) -> None:
        super().__init__(
            f"{what} needs {extras.package_of(module)!r}, which isn't installed: "
            f"pip install 'lightfm-retriever[{extra}]'"
        )


class BackendMissingError(ExtraMissingError):
    """The package of an index backend isn't installed."""

    def __init__(self, backend: str, module: str) -> None:
        # Annoy is part of the extra `trainer`.
        super().__init__(f"backend {backend!r}", "trainer" if backend == "annoy" else backend, module)


class RecallError(TrainerError):
    """No index reaches the target recall."""

    def __init__(self, index: str, *, target: float, reached: float, by: str) -> None:
        super().__init__(
            f"index {index!r} reaches recall@10 {reached:.4f} by {by}, below the target of {target}: "
            "nothing was published; lower --target-recall, try --backend auto, or leave out "
            "--strict-recall to allow exact search"
        )
        self.index = index
        self.target = target
        self.reached = reached


class RunError(TrainerError):
    """The base of errors about a training run."""


class RunNotFoundError(RunError):
    """No run has this id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no training run {run_id[:64]!r}")


class RunEndedError(RunError):
    """A run has ended, so it can't be cancelled."""

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(f"training run {run_id} has ended already: it is {state}")


class DamagedRunError(RunError):
    """The stored row of a run can't be read; the message names the file, the row and the column."""

    def __init__(self, run_id: str, problem: str) -> None:
        super().__init__(f"training run {run_id[:64]!r}: {problem}")


class RequestIdReusedError(RunError):
    """A request id was used for another spec before."""

    def __init__(self, request_id: str, run_id: str) -> None:
        super().__init__(
            f"request id {request_id[:64]!r} belongs to training run {run_id}, which has another spec: "
            "use a new id for a new request"
        )


class TooManyRunsError(RunError):
    """The queue of runs is full."""

    def __init__(self, queued: int) -> None:
        super().__init__(f"{queued} training runs wait already: cancel some, or try again later")


class StateError(TrainerError):
    """The file that stores the runs can't be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path

    @classmethod
    def of(cls, error: OSError, path: Path) -> StateError:
        """Make one from a system error; `path` is used if the error names none."""
        named = Path(error.filename) if isinstance(error.filename, str | Path) else path
        return cls(named, error.strerror or str(error))


class SparkError(TrainerError):
    """The Spark cluster can't be reached, or a job failed; `log` is the file with its output."""

    def __init__(self, message: str, *, log: Path | None = None) -> None:
        super().__init__(message if log is None else f"{message} (its log: {log})")
        self.log = log


class DatasetMissingError(TrainerError):
    """A named dataset isn't on this machine."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(
            f"dataset {name!r} isn't in {directory}: fetch it with "
            f"'lightfm-trainer fetch-dataset {name}'"
        )


class DivergedError(TrainerError):
    """The numbers of a model aren't finite, or too large to be served; `epoch` is None if unknown."""

    def __init__(
        self,
        epoch: int | None,
        *,
        problem: str = "the numbers of the model aren't finite",
        advice: str = "lower --learning-rate",
    ) -> None:
        when = "" if epoch is None else f" in epoch {epoch}"
        super().__init__(
            f"training diverged{when}: {problem}; {advice}, and check the interactions' "
            "weights if --sample-weights is set"
        )
        self.epoch = epoch
