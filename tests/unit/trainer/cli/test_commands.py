"""Commands as they are called, in this process: what is read for them, and what is wrong with it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import list_labels, read_label
from lightfm_retriever.publication.reader import list_versions, open_publication
from tests import datasets, publications
from trainer.__main__ import main
from trainer.index.measure import Questions

# With more threads an index differs from run to run.
QUICK = ["--components", "4", "--epochs", "2", "--seed", "1", "--index-threads", "1"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("TRAINER_VOLUME", "TRAINER_DATA_DIR", "TRAINER_LISTEN", "TRAINER_STATE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


@pytest.fixture
def call(capsys, volume):
    """Run a command on the volume; returns what it printed as JSON."""

    def call(command, *arguments):
        status = main([command, *map(str, arguments), "--volume", str(volume), "--json"])
        output = capsys.readouterr()
        assert (status, output.err) == (0, "")
        return json.loads(output.out)

    return call


@pytest.fixture
def fails(capsys, volume):
    """Run a command that fails; returns its message."""

    def fails(command, *arguments, status=1):
        assert main([command, *map(str, arguments), "--volume", str(volume)]) == status
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith("error: ")
        assert output.err.count("\n") == 1
        return output.err.removeprefix("error: ").rstrip("\n")

    return fails


def test_a_cache_is_for_a_url_and_has_a_size(fails, tmp_path):
    assert fails("versions", "--cache-dir", tmp_path, status=2) == (
        f"--cache-dir is {str(tmp_path)!r}, but should be used with a --volume that is a URL"
    )
    for size in ("-1", "nan", "1e7"):
        assert fails("versions", "--cache-gb", size, status=2).endswith("but should be in 0..1000000")


def test_a_store_that_cannot_be_reached_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Nobody listens there.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert main(["versions", "--volume", "s3://bucket/prefix"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: s3://bucket/prefix/labels: ")
    assert output.err.count("\n") == 1
    # Looking makes nothing.
    assert not [*tmp_path.iterdir()]


def test_csv_and_parquet_train_the_same_model(call, tmp_path):
    versions = set()
    for suffix in ("csv", "tsv", "csv.gz", "parquet"):
        interactions = datasets.write_rows(tmp_path / f"interactions.{suffix}")
        items = datasets.write(
            tmp_path / f"items.{suffix}",
            {
                "item_id": [f"i{item}" for item in range(datasets.ITEMS)],
                "genres": ["War|Drama", "Drama"] * (datasets.ITEMS // 2),
                "title": [f"Film {item}" for item in range(datasets.ITEMS)],
            },
        )
        files = ["--interactions", interactions, "--items", items, "--item-features", "genres"]
        made = call("train", *files, *QUICK)
        assert made["dataset"]["name"] == f"interactions.{suffix}"
        # A version's name ends in a hash of its files.
        versions.add(made["version"].partition("-")[2])
    assert len(versions) == 1


def test_features_change_the_recommendations(call, tmp_path, volume):
    interactions = datasets.write_rows(tmp_path / "a.csv")
    columns = {"item_id": [f"i{item}" for item in range(datasets.ITEMS)], "genres": ["a|b", "b"] * 8}
    items = datasets.write(tmp_path / "items.csv", columns)
    users = datasets.write(tmp_path / "users.csv", {"user_id": ["u1", "new"], "age": ["9", "9"]})
    runs = [
        [],
        ["--items", items],
        ["--items", items, "--item-features", "genres"],
        ["--items", items, "--item-features", "genres", "--feature-separator", ";"],
        ["--users", users, "--user-features", "age"],
    ]
    common = ["--interactions", interactions, *QUICK, "--allow-different-data"]
    made = [call("train", *common, *run) for run in runs]
    vectors = [
        open_publication(volume, run["version"]).item_vectors[: datasets.ITEMS].tobytes()
        for run in made
    ]
    assert vectors[0] == vectors[1]
    assert len({*vectors}) == 4
    assert made[2]["dataset"]["item_features"] == ["genres"]
    assert made[4]["dataset"]["user_features"] == ["age"]
    assert made[4]["users"] == datasets.USERS + 1


def test_features_of_unknown_items_are_warned_of_with_their_count(capsys, tmp_path, volume):
    interactions = datasets.write_rows(tmp_path / "a.csv")
    items = datasets.write(tmp_path / "i.csv", {"item_id": ["i0", "x", "y"], "genres": ["a", "a", "a"]})
    arguments = ["--interactions", interactions, "--items", items, "--item-features", "genres", *QUICK]
    assert main(["train", *map(str, arguments), "--volume", str(volume)]) == 0
    warnings = capsys.readouterr().err
    assert "warning: 2 items of i.csv have no training interactions" in warnings
    assert "warning: 15 items aren't in i.csv: they have no features" in warnings


def test_every_option_reaches_the_manifest(call, tmp_path):
    flags = {
        "loss": "bpr",
        "components": 3,
        "learning_rate": 0.25,
        "item_alpha": 0.5,
        "user_alpha": 0.125,
        "epochs": 1,
        "seed": 9,
        "threads": 2,
    }
    given = [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", value)]
    interactions = datasets.write_rows(tmp_path / "a.csv")
    given += ["--sample-weights", "--trees", 4, "--index-threads", 3, "--target-recall", 0.5]
    made = call("train", "--interactions", interactions, *given, "--split", "first-10")
    assert made["hyperparameters"] == {**flags, "sample_weights": True}
    for index in made["indexes"].values():
        assert index["build"] == {"trees": 4, "seed": 9, "threads": 3}
        assert index["target_recall"] == 0.5
    assert made["dataset"]["split"] == "first-10"


def test_labels_are_moved_as_told(call, tmp_path, volume):
    train = ["train", "--interactions", datasets.write_rows(tmp_path / "a.csv"), *QUICK]
    first = call(*train)["version"]
    second = call(*train, "--label", "canary", "--epochs", 3)["version"]
    third = call(*train, "--no-label", "--epochs", 4)
    assert third["label"] is None
    assert list_labels(volume) == {"canary": second, "current": first}
    moved = {"label": "current", "previous": first, "version": second}
    assert call("promote", second) == moved
    moved = {"label": "current", "previous": second, "version": first}
    assert call("rollback") == moved
    assert {row["version"]: row["labels"] for row in call("versions")} == {
        third["version"]: [],
        second: ["canary"],
        first: ["current"],
    }
    assert call("verify") == [
        {"version": name, "problem": None} for name in sorted([first, second, third["version"]])
    ]


def test_a_damaged_version_fails_the_verification_of_it(call, capsys, volume):
    versions = [publications.publish(volume, seed=seed) for seed in (1, 2)]
    path = layout.version_dir(volume, versions[0]) / layout.USER_IDS
    publications.overwrite(path, b"x" + path.read_bytes()[1:])
    assert main(["verify", "--volume", str(volume)]) == 1
    lines = sorted(capsys.readouterr().out.splitlines())
    problems = {line.partition(": ")[0]: line.partition(": ")[2] for line in lines}
    assert problems.keys() == {*versions}
    assert f"{path}: SHA-256" in problems[versions[0]]
    assert problems[versions[1]] == "every byte is as published"
    assert call("verify", versions[1]) == [{"version": versions[1], "problem": None}]


def test_nothing_to_act_upon_is_an_error(fails, volume):
    assert f"{volume}: the volume doesn't exist" in fails("versions")
    assert f"{volume}: the volume doesn't exist" in fails("verify")
    assert f"{volume}: the volume doesn't exist" in fails("serve")
    volume.mkdir()
    version = "20261124T043500Z-3fa9c1"
    assert f"version {version!r} isn't on the volume" in fails("promote", version)
    assert f"version {version!r} isn't on the volume" in fails("verify", version)
    assert "label 'canary' has never named a version" in fails("rollback", "--label", "canary")


FILE = "--interactions /none.csv"
VECTORS = "--item-vectors /none.npy --item-ids /none.txt"
MOVIES = "--dataset movielens-100k"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "",
            "--dataset is missing, but should be given, or one of --interactions,",
        ),
        (f"{MOVIES} --items b.csv", "--items is 'b.csv', but should be left out"),
        (f"{MOVIES} --users b.csv", "--users is 'b.csv', but should be left out"),
        (
            f"{MOVIES} --item-features genres,cast",
            "--item-features is 'cast', but should be among genres, release_year",
        ),
        (
            f"{MOVIES} --user-features height",
            "--user-features is 'height', but should be among age, gender, occupation, zip_code",
        ),
        (
            f"{MOVIES} --data-dir /none",
            "dataset 'movielens-100k' isn't in /none/movielens-100k: fetch it",
        ),
        (FILE, "/none.csv: No such file or directory"),
        (f"{FILE} --epochs 0", "--epochs is 0, but should be in 1..10000"),
        (
            f"{FILE} --item-features a,b",
            "--item-features is 'a,b', but should be used with --items FILE",
        ),
        (
            f"{FILE} --user-features a,b",
            "--user-features is 'a,b', but should be used with --users FILE",
        ),
        (f"{FILE} --backend annoy,,exact", "--backend is '', but should be among auto, annoy"),
        (f"{VECTORS} --seed {2**31}", f"--seed is {2**31}, but should be in 0..2^31-1"),
        (f"{VECTORS} --max-shrinkage 2", "--max-shrinkage is 2.0, but should be in 0..1"),
        *(
            (f"{what} {flags}", message)
            for what in (FILE, VECTORS)
            for flags, message in (
                ("--trees 0", "--trees is 0, but should be in 1..10000"),
                ("--trees 3 --backend exact", "--trees is 3, but should be left out: it is for"),
                (
                    "--backend hnswlib",
                    "--backend is 'hnswlib', but should be among auto, annoy, exact, faiss, nmslib",
                ),
                (
                    "--target-recall nan",
                    "--target-recall is nan, but should be above 0 and at most 1",
                ),
                ("--index-threads 0", "--index-threads is 0, but should be in 1..1024"),
            )
        ),
    ],
)
def test_options_that_do_not_fit_are_named(fails, volume, flags, message):
    command = "publish" if VECTORS in flags else "train"
    # A file that isn't there is no mistake in the flags.
    status = 1 if "/none" in message else 2
    assert message in fails(command, *flags.split(), status=status)
    assert not volume.exists()


@pytest.mark.parametrize("command", ["train", "publish"])
def test_a_backend_that_is_not_installed_is_named_with_what_to_install(
    fails, monkeypatch, tmp_path, volume, command
):
    # None makes an import fail as if there were no such module.
    monkeypatch.setitem(sys.modules, "nmslib", None)
    monkeypatch.delitem(sys.modules, "trainer.index.nmslib", raising=False)
    files = {
        "train": ["--interactions", datasets.write_rows(tmp_path / "a.csv")],
        "publish": ["--item-vectors", "/none.npy", "--item-ids", "/none.txt"],
    }[command]
    assert fails(command, *files, "--backend", "annoy,nmslib") == (
        "backend 'nmslib' needs 'nmslib', which isn't installed: "
        "pip install 'lightfm-retriever[nmslib]'"
    )
    assert not volume.exists()


def test_a_target_that_is_missed_publishes_nothing_where_it_is_strict(
    call, capsys, monkeypatch, tmp_path, volume
):
    train = ["train", "--interactions", datasets.write_rows(tmp_path / "a.csv"), *QUICK]
    older = call(*train)["version"]
    ask = Questions.ask

    def half(questions, built, effort):
        """Of whatever isn't exact search."""
        found = ask(questions, built, effort)
        return replace(found, recall=found.recall / (2 if built.has_file else 1))

    monkeypatch.setattr(Questions, "ask", half)
    newer = call(*train, "--epochs", 3)
    for warning in newer["warnings"][-2:]:
        assert ": annoy reaches recall@10 0.5000 at best, below the target of 0.95" in warning
        assert ", so exact search is used: recall@10 1.0000 by exact in " in warning
    assert {index["backend"] for index in newer["indexes"].values()} == {"exact"}
    command = [*map(str, train), "--epochs", "4", "--strict-recall", "--volume", str(volume)]
    assert main(command) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: index 'similar' reaches recall@10 0.")
    assert " by annoy, below the target of 0.95: nothing was published" in message
    assert sorted(list_versions(volume)) == sorted([older, newer["version"]])
    assert read_label(volume, "current") == newer["version"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"interactions": "user,item_id\n1,2\n"},
            "column user_id is missing; the columns are: user, item_id",
        ),
        (
            {"interactions": "user_id,item_id,weight\n1,2,1\n1,3,nan\n"},
            "interactions.csv, row 2: weight is nan, which isn't a finite number",
        ),
        ({"items": "item_id,genres\ni1,a\ni1,b\n"}, "items.csv, row 2: item_id 'i1' is also in row 1"),
        (
            {"items": "item_id,genre\ni1,a\n"},
            "column genres is missing; the columns are: item_id, genre",
        ),
    ],
)
def test_bad_files_are_named(fails, tmp_path, volume, files, message):
    datasets.write_rows(tmp_path / "interactions.csv")
    (tmp_path / "items.csv").write_text("item_id,genres\ni1,a\n")
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text)
    paths = ["--interactions", tmp_path / "interactions.csv", "--items", tmp_path / "items.csv"]
    assert message in fails("train", *paths, "--item-features", "genres", *QUICK)
    assert not volume.exists()


def test_what_only_training_finds_out_is_an_error_too(capsys, tmp_path, volume):
    rows = [(user, item, 1e9) for user, item, _ in datasets.rows()]
    interactions = datasets.write_rows(tmp_path / "a.csv", rows)
    options = "--sample-weights --loss bpr --learning-rate 10 --split none".split()  # noqa: SIM905
    command = ["train", "--interactions", str(interactions), *options, "--volume", str(volume)]
    assert main(command) == 1
    assert "error: training diverged in epoch" in capsys.readouterr().err
    assert list_versions(volume) == []


@pytest.mark.parametrize("listen", ["x", "127.0.0.1:99999"])
def test_a_service_refuses_to_listen_on_what_is_no_address(volume, capsys, listen):
    volume.mkdir()
    state = volume.parent / "state"
    assert main(["serve", "--volume", str(volume), "--state", str(state), "--listen", listen]) == 2
    error = capsys.readouterr().err
    assert f"error: --listen is '{listen}', but should be HOST:PORT with a port in 0..65535" in error
    assert not state.exists()


@pytest.mark.parametrize(
    "given", [["--retrain-every", "1h"], ["--retrain-cron", "0 3 * * *"], ["--retrain-on-change"]]
)
def test_training_by_itself_without_data_is_told_by_the_flag_that_was_given(volume, capsys, given):
    assert main(["serve", "--volume", str(volume), *given]) == 2
    assert f"error: {given[0]} is set, but should be used with --dataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["runs", "--cert", "c.pem"], "--cert is given without --key"),
        (["serve", "--volume", "v", "--tls-key", "k.pem"], "--tls-key is given without --tls-cert"),
        (["serve", "--volume", "v", "--trace-share", "2"], "--trace-share is 2, but should be in 0..1"),
        (["serve", "--volume", "v", "--parallel-runs", "0"], "--parallel-runs is 0, but should be in"),
        (["train", "--target", "127.0.0.1:1"], "--dataset is missing, but should be given"),
    ],
)
def test_flags_that_do_not_go_together_are_mistakes_in_the_command_line(capsys, command, said):
    assert main(command) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
