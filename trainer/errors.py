"""What can go wrong before a publication is made."""

from __future__ import annotations

from pathlib import Path

from lightfm_retriever.hosting import extras, words


class TrainerError(Exception):
    """Base of all errors of this package."""


class InputError(TrainerError):
    """A file, column or row that can't be used. `row` counts data rows from 1, without the header."""

    def __init__(self, path: Path, reason: str, *, row: int | None = None) -> None:
        super().__init__(f"{path}, row {row}: {reason}" if row is not None else f"{path}: {reason}")
        self.path = path
        self.reason = reason
        self.row = row


class OptionError(TrainerError):
    """A flag or hyperparameter that can't be used; `problem` is the message without its name."""

    def __init__(self, option: str, value: object, expected: str) -> None:
        self.problem = words.wrong(value, expected)
        super().__init__(f"{option} {self.problem}")
        self.option = option
        self.value = value
        self.expected = expected


class ExtraMissingError(TrainerError):
    """What needs packages that aren't installed."""

    def __init__(self, what: str, extra: str, module: str) -> None:
        super().__init__(
            f"{what} needs {extras.package_of(module)!r}, which isn't installed: "
            f"pip install 'lightfm-retriever[{extra}]'"
        )


class BackendMissingError(ExtraMissingError):
    """A kind of index whose package isn't installed."""

    def __init__(self, backend: str, module: str) -> None:
        # Annoy is no extra of its own.
        super().__init__(f"backend {backend!r}", "trainer" if backend == "annoy" else backend, module)


class RecallError(TrainerError):
    """No index finds as much as was asked for."""

    def __init__(self, index: str, *, target: float, reached: float, by: str) -> None:
        super().__init__(
            f"index {index!r} reaches recall@10 {reached:.4f} by {by}, below the target of {target}: "
            "nothing was published; lower --target-recall, try --backend auto, or leave out "
            "--strict-recall, so that exact search may stand in"
        )
        self.index = index
        self.target = target
        self.reached = reached


class RunError(TrainerError):
    """About a training run."""


class RunNotFoundError(RunError):
    """There is no run of that id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no training run {run_id[:64]!r}")


class RunEndedError(RunError):
    """A run that can't be cancelled any more."""

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(f"training run {run_id} has ended already: it is {state}")


class DamagedRunError(RunError):
    """A run whose stored row can't be read; the message names the file, the row and the column."""

    def __init__(self, run_id: str, problem: str) -> None:
        super().__init__(f"training run {run_id[:64]!r}: {problem}")


class RequestIdReusedError(RunError):
    """A request id that came with another spec before."""

    def __init__(self, request_id: str, run_id: str) -> None:
        super().__init__(
            f"request id {request_id[:64]!r} belongs to training run {run_id}, which has another spec: "
            "use a new id for a new request"
        )


class TooManyRunsError(RunError):
    """Too many runs wait already."""

    def __init__(self, queued: int) -> None:
        super().__init__(f"{queued} training runs wait already: cancel some, or try again later")


class StateError(TrainerError):
    """The file that runs are kept in can't be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path

    @classmethod
    def of(cls, error: OSError, path: Path) -> StateError:
        """Make one of an error of the system's; `path` is used where that names none."""
        named = Path(error.filename) if isinstance(error.filename, str | Path) else path
        return cls(named, error.strerror or str(error))


class SparkError(TrainerError):
    """A Spark cluster that can't be reached, or a job of it that failed; `log` has all that it said."""

    def __init__(self, message: str, *, log: Path | None = None) -> None:
        super().__init__(message if log is None else f"{message} (its log: {log})")
        self.log = log


class DatasetMissingError(TrainerError):
    """A named dataset that isn't on this machine."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(
            f"dataset {name!r} isn't in {directory}: fetch it with "
            f"'lightfm-trainer fetch-dataset {name}'"
        )


class DivergedError(TrainerError):
    """Training ended in numbers that aren't finite or too large to be served; `epoch` if it's known."""

    def __init__(
        self, epoch: int | None, *, problem: str = "the model's numbers aren't finite"
    ) -> None:
        when = "" if epoch is None else f" in epoch {epoch}"
        super().__init__(
            f"training diverged{when}: {problem}; lower --learning-rate, and check the interactions' "
            "weights if --sample-weights is set"
        )
        self.epoch = epoch
