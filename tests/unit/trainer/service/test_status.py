from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2

from lightfm_retriever.publication import errors as publication
from tests.trainer_service import field_or_reason
from trainer import errors
from trainer.errors import InputError, OptionError, RunNotFoundError, StateError
from trainer.event_log.errors import EventLogError, InvalidEventError, InvalidSelectionError
from trainer.service.status import AnswerTooLargeError, FieldError, TooManyWatchersError, to_status

PATH = Path("/state")
PROTO = Path(__file__).parents[4] / "protos/recsys/trainer/v1/trainer_service.proto"
MOVED = publication.LabelMovedError("l", expected="a", found="b")


def told(error):
    """Code, message, and the field or the reason of the one detail."""
    status = to_status(error)
    [(_, sent)] = status.trailing_metadata
    detail = field_or_reason(status.details, status_pb2.Status.FromString(sent))
    return status.code, status.details, detail


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (publication.VersionNotFoundError("v", PATH), "NOT_FOUND", "VERSION_NOT_FOUND"),
        (RunNotFoundError("r"), "NOT_FOUND", "TRAINING_RUN_NOT_FOUND"),
        (publication.LabelledVersionError("v", ["current"]), "FAILED_PRECONDITION", "VERSION_LABELLED"),
        (publication.ManifestError(PATH, "is no JSON"), "FAILED_PRECONDITION", "VERSION_INVALID"),
        (errors.RunEndedError("r", "FAILED"), "FAILED_PRECONDITION", "TRAINING_RUN_ENDED"),
        (publication.NothingToRollBackToError("l"), "FAILED_PRECONDITION", "NOTHING_TO_ROLL_BACK_TO"),
        (MOVED, "FAILED_PRECONDITION", "LABEL_MOVED"),
        (errors.RequestIdReusedError("i", "r"), "ALREADY_EXISTS", "REQUEST_ID_REUSED"),
        (errors.TooManyRunsError(1000), "RESOURCE_EXHAUSTED", "QUEUE_FULL"),
        (AnswerTooLargeError(5, 4), "FAILED_PRECONDITION", "ANSWER_TOO_LARGE"),
        (errors.DamagedRunError("r", "is odd"), "FAILED_PRECONDITION", "TRAINING_RUN_DAMAGED"),
        (TooManyWatchersError("16 calls watch"), "RESOURCE_EXHAUSTED", "TOO_MANY_WATCHERS"),
        (StateError(PATH, "database or disk is full"), "UNAVAILABLE", "STORE_UNUSABLE"),
        (EventLogError(PATH, "No space left on device"), "UNAVAILABLE", "STORE_UNUSABLE"),
        (publication.VolumeError(PATH, "Stale file handle"), "UNAVAILABLE", "VOLUME_UNUSABLE"),
        (InputError(PATH, "No such file or directory"), "FAILED_PRECONDITION", "TRAINER_ERROR"),
    ],
)
def test_every_error_has_its_code_and_reason(error, code, reason):
    assert told(error) == (grpc.StatusCode[code], str(error), reason)
    assert reason == "TRAINER_ERROR" or reason in PROTO.read_text()


@pytest.mark.parametrize(
    ("error", "field"),
    [
        (FieldError("page_size", "is 0"), "page_size"),
        (publication.LabelError("Current", "should be"), "label"),
        (InvalidEventError(3, "user_id", "is empty"), "events[3].user_id"),
        (InvalidEventError(3, "timestamp", "is nan"), "events[3].happened_at"),
        (InvalidSelectionError("happened_from", "isn't finite"), "happened_from"),
        (OptionError("--epochs", 0, "in 1..10000"), "spec.hyperparameters.epochs"),
        (OptionError("--interactions", "/x", "below a root"), "spec.data.interactions"),
    ],
)
def test_what_a_field_is_wrong_about_is_an_invalid_argument(error, field):
    code, message, found = told(error)
    assert (code, found) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert len(message) > len(field) + 4


def test_what_its_operator_has_to_mend_is_logged_and_what_its_caller_did_wrong_is_not(caplog):
    to_status(OptionError("--epochs", 0, "in 1..10000"))
    to_status(RunNotFoundError("r"))
    assert caplog.text == ""
    to_status(publication.VolumeError(PATH, "Stale"))
    assert f"{PATH}: Stale" in caplog.text
    # What nobody thought of is for the log alone.
    status = to_status(RuntimeError("/home/me/secret"))
    assert status.code == grpc.StatusCode.INTERNAL
    assert "secret" not in status.details
    assert "/home/me/secret" in caplog.text


@pytest.mark.parametrize("letter", ["x", "é", "用", "🎬"])
def test_a_long_message_of_any_script_is_cut_so_that_grpc_sends_it(letter):
    """A letter is up to four bytes, and twelve where gRPC writes it as %F0%9F%8E%AC."""
    status = to_status(OptionError("--interactions-sql", letter * 100_000, "shorter"))
    if letter == "x":
        assert 1000 < len(status.details) <= 2000
    [(_, sent)] = status.trailing_metadata
    message = "".join(f"%{byte:02X}" if byte > 126 else chr(byte) for byte in status.details.encode())
    # gRPC turns what is above 8 kB into an error of its own.
    assert len(sent) * 4 // 3 + len(message) < 8000


def test_the_name_of_a_file_that_is_no_unicode_is_shown_as_well_as_it_can_be():
    assert told(InputError(Path("/data/\udcff.csv"), "is gone"))[1] == "/data/?.csv: is gone"
