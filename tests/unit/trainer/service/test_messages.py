import argparse
import json
import math
import re
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given, settings
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting.options import declared
from tests import specs
from trainer.cli import spec_arguments
from trainer.data.files.file_form import FileForm
from trainer.errors import OptionError
from trainer.event_log.log import Event, Removed, Selection
from trainer.models.given import GivenHyperparameters
from trainer.promotion.gates import GateResult, Gates
from trainer.runs.store import STATES, DamagedRun, Outcome, Run
from trainer.service import messages
from trainer.spec import DataSpec, TrainingSpec

PAIRS = [
    (TrainingSpec, pb.TrainingSpec),
    (DataSpec, pb.DataSpec),
    (FileForm, pb.FileForm),
    (GivenHyperparameters, pb.Hyperparameters),
    (Gates, pb.Gates),
    (GateResult, pb.GateResult),
]
SECONDS = 1_767_225_600.0
PROTO = Path(__file__).parents[4] / "protos/recsys/trainer/v1/trainer_service.proto"


def run(spec=None, **changes):
    fixed = {"number": 1, "id": "20261124T120000Z-00000001", "request_id": "r", "created_at": 1.5}
    return Run(**{**fixed, "state": "QUEUED", "spec": spec or specs.spec(), **changes})


@settings(max_examples=25)
@given(specs.training_specs())
@example(specs.spec(label=None))
@example(specs.spec(data=DataSpec(event_log=True, item_attributes=["tags:text", "év", "a:b"])))
@example(specs.spec(gates=Gates(max_relative_loss=0.0)))
def test_a_spec_survives_its_message(spec):
    assert messages.spec_of(received(messages.spec_message(spec, with_secrets=True))) == spec


def test_a_runs_message_leaves_out_the_database_and_nothing_else():
    data = DataSpec(interactions_sql="SELECT 1", database_url="postgresql://me:hunter2@host/db")
    message = messages.run_message(run(specs.spec(data=data)))
    assert "hunter2" not in MessageToJson(message)
    expected = messages.spec_message(specs.spec(data=data), with_secrets=True)
    expected.data.ClearField("database_url")
    assert message.spec == expected


def test_what_is_not_set_has_the_default_and_an_empty_label_is_none():
    message = pb.TrainingSpec(data=pb.DataSpec(event_log=True))
    data = DataSpec(event_log=True)
    assert messages.spec_of(message) == TrainingSpec(data=data)
    message.hyperparameters.epochs, message.gates.min_auc, message.label = 3, 0.0, ""
    changed = {"hyperparameters": GivenHyperparameters(epochs=3), "gates": Gates(min_auc=0.0)}
    assert messages.spec_of(message) == TrainingSpec(data=data, **changed, label=None)


@pytest.mark.parametrize(("of", "message"), PAIRS)
def test_messages_and_dataclasses_have_the_same_fields(of, message):
    # Spark is a service's own, and so is the file of skipped rows.
    others = ("spark", "skipped_file")
    own = {field.name: field for field in fields(of) if field.name not in others}
    described = message.DESCRIPTOR.fields_by_name
    assert own.keys() == {*described}
    # Spark's settings run any program, and a store's location reaches other hosts.
    assert not [name for name in described if re.search("spark|conf|volume|store|master", name)]
    for name, field in own.items():
        if field.default is None:
            # Otherwise nobody could tell 0 from nothing.
            assert described[name].has_presence, name
        elif field.default is not MISSING:
            assert described[name].has_presence or not field.default, name


def comments():
    """By message and field: the comment above it."""
    found, message, last, lines = {}, "", "", []
    for line in PROTO.read_text().splitlines():
        if match := re.match(r"message (\w+)", line):
            message = match[1]
        if match := re.match(r"\s*// ?(.*)", line):
            lines.append(match[1])
            continue
        if match := re.match(r"\s+.*\b(\w+) = \d+;", line):
            comment = " ".join(lines)
            # Of the field before.
            found[message, match[1]] = (
                f"{last} {comment}" if comment.startswith("The same") else comment
            )
            last = comment
        lines = []
    return found


def in_prose(option):
    if option.choices:
        return [f"{', '.join(option.choices[:-1])} or {option.choices[-1]}"]
    if option.ge is not None and option.le is not None:
        return [f"{option.ge} to {option.le}", f"at least {option.ge}"]
    words = option.told().removeprefix("in ").replace("..", " to ")
    return [words] if words else []


@pytest.mark.parametrize(("of", "message"), PAIRS[:4])
def test_the_protos_comments_tell_the_ranges_and_the_defaults(of, message):
    told = comments()
    options = declared(of)
    assert len(options) >= 7
    for name, one in options.items():
        if name == "skipped_file":
            continue
        comment = told[message.DESCRIPTOR.name, name]
        ranges = in_prose(one.option)
        assert not ranges or any(own in comment for own in ranges), f"{name}: {ranges}: {comment}"
        if isinstance(one.default, int | float | str) and one.kind is not bool:
            match = re.search(r'Default ("[^"]*"|[^\s;]+?)[.;]?(?= |$)', comment)
            assert match, f"{name}: {comment}"
            assert json.loads(match[1]) == one.default, name


@pytest.mark.parametrize(
    ("part", "of"),
    [
        ("", TrainingSpec),
        ("data", DataSpec),
        ("hyperparameters", GivenHyperparameters),
        ("gates", Gates),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_field_in_the_words_of_its_flag(part, of):
    checked = [(name, one, value) for name, one in declared(of).items() for value in out_of(one)]
    assert len(checked) > 5
    for name, one, value in checked:
        message = pb.TrainingSpec(data=pb.DataSpec(event_log=True))
        setattr(getattr(message, part) if part else message, name, value)
        with pytest.raises(OptionError) as caught:
            messages.spec_of(message)
        assert messages.field_path(caught.value.option) == ".".join(filter(None, ("spec", part, name)))
        assert caught.value.option == one.flag
        assert caught.value.expected == one.option.problem(value)


def out_of(one):
    """Values just beyond an option's range, and those that are no numbers."""
    option = one.option
    if option.choices:
        return ["", option.choices[0].upper()]
    if one.kind is int:
        ends = [option.ge - 1, option.le + 1]
        return [end for end in ends if -(2**31) <= end < 2**31]
    if one.kind is float:
        ends = [math.nan, math.inf, -math.inf]
        ends += [option.gt] if option.gt is not None else [option.ge - 1e-9]
        return ends + ([option.lt] if option.le is None else [option.le + 1e-9])
    return []


def test_every_field_has_a_flag_and_every_flag_a_field():
    parser = argparse.ArgumentParser(add_help=False)
    spec_arguments.add_training(parser)
    # These two say what --label is, and a service chooses the file of skipped rows.
    others = {"--canary", "--no-label", "--skipped-file"}
    flags = {*re.findall(r"--[\w-]+", parser.format_usage())} - others
    leaves = {*leaves_of(pb.TrainingSpec.DESCRIPTOR, "spec")}
    assert {*map(messages.field_path, flags)} == leaves
    assert len(flags) == len(leaves)
    assert messages.field_path("--set") == "spec.settings"
    assert messages.field_path("--budget") == "spec.budget_seconds"
    # A flag that has no field is its own.
    assert messages.field_path("--volume") == "volume"


def leaves_of(described, prefix):
    """The paths of the fields that are no messages; a map is a field."""
    for name, field in described.fields_by_name.items():
        inner = field.message_type
        if inner is None or inner.GetOptions().map_entry:
            yield f"{prefix}.{name}"
        else:
            yield from leaves_of(inner, f"{prefix}.{name}")


def test_a_run_is_sent_with_all_that_is_known_and_no_more():
    gate = GateResult("min_auc", False, 0.25, 0.5, "0.25 short")
    plain = {"stage": "fit", "done": 3, "total": 20, "version": "20261124T120000Z-3fa9c1", "error": "e"}
    plain |= {"metrics": {"test_auc": 0.25}, "label_moved": True, "warnings": ["w"]}
    plain |= {"seconds": {"fit": 1.5}, "seconds_left": 0.25}
    outcome = Outcome(**plain, gates=[gate])
    message = messages.run_message(
        run(state="RUNNING", started_at=2.5, ended_at=1e9 + 0.25, outcome=outcome, problem="p")
    )
    assert message == pb.TrainingRun(
        id="20261124T120000Z-00000001",
        request_id="r",
        state=pb.TRAINING_RUN_STATE_RUNNING,
        spec=messages.spec_message(specs.spec(), with_secrets=False),
        created_at=Timestamp(seconds=1, nanos=500_000_000),
        started_at=Timestamp(seconds=2, nanos=500_000_000),
        ended_at=Timestamp(seconds=10**9, nanos=250_000_000),
        gates=[pb.GateResult(**asdict(gate))],
        problem="p",
        **plain,
    )
    assert len(message.ListFields()) == len(pb.TrainingRun.DESCRIPTOR.fields)
    message = messages.run_message(run(outcome=Outcome(gates=[replace(gate, measured=None)])))
    for name in ("started_at", "ended_at", "seconds_left"):
        assert not message.HasField(name)
    assert not message.gates[0].HasField("measured")
    told = [messages.state_name(messages.run_message(run(state=state)).state) for state in STATES]
    assert told == [*STATES]
    assert len(STATES) == len(pb.TrainingRunState.keys()) - 1


def test_a_spec_that_no_message_can_hold_leaves_the_run_readable():
    message = messages.run_message(run(spec=specs.spec(backend="\udcff"), state="SUCCEEDED"))
    assert (message.id, message.state) == (run().id, pb.TRAINING_RUN_STATE_SUCCEEDED)
    assert message.problem == "its spec can't be sent: it has a character that isn't Unicode"
    assert not message.HasField("spec")
    # Of one that can't be read at all the id and the problem are sent.
    message = messages.run_message(DamagedRun(number=3, id="a", problem="/x/\udcff, row 3: odd"))
    assert message == pb.TrainingRun(id="a", problem="/x/?, row 3: odd")


def received(message):
    return type(message).FromString(message.SerializeToString())


@pytest.mark.parametrize(("dry_run", "weight"), [(False, None), (True, 0.0)])
def test_a_selection_survives_its_message(weight, dry_run):
    ids = {"event_ids": ["a", "b"], "user_ids": ["映画"], "item_ids": []}
    times = {"happened_from": 0.0, "happened_before": SECONDS + 0.125}
    selection = Selection(**ids, **times, max_weight=weight)
    found = received(messages.removal_request(selection, dry_run=dry_run))
    assert (messages.selection_of(found), found.dry_run) == (selection, dry_run)


def removed(time, **more):
    totals = {"events": 3, "users": 2, "items": 1, "min_weight": -0.5, "max_weight": 0.0}
    return Removed(**totals, oldest=time, newest=time + 1, **more)


@pytest.mark.parametrize("time", [0.0, -1.25, SECONDS + 0.125])
def test_what_was_removed_survives_its_message(time):
    more = {"examples": [Event("e", "u", "映画", "view", 2.5, time)], "warnings": ["not searched"]}
    for sent in (removed(time, **more), Removed()):
        assert messages.removed_of(received(messages.removal_response(sent))) == sent


def test_an_event_has_defaults_for_what_is_not_set():
    message = pb.InteractionEvent(event_id="e", user_id="u", item_id="i")
    assert messages.event_of(message) == Event("e", "u", "i")
    message.weight = 0.0
    message.happened_at.FromMilliseconds(1500)
    assert messages.event_of(message) == Event("e", "u", "i", weight=0.0, timestamp=1.5)


@pytest.mark.parametrize("time", [3e11, -1e14, 1e300, math.inf, math.nan])
def test_a_time_of_an_old_log_that_no_message_holds_is_sent_as_the_nearest_that_one_does(time):
    message = received(messages.removal_response(removed(time)))
    assert message.oldest.ToDatetime().year in (1, 9999)
