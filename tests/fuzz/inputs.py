"""Targets: what the trainer is given to read, and the retriever's page tokens."""

from pathlib import Path
from random import Random
from urllib.parse import parse_qsl

from retriever.answering import pages
from retriever.errors import InvalidArgumentError, PageExpiredError
from tests import publications
from tests.datasets import write
from tests.fuzz import mutation
from tests.fuzz.runner import Execute, note
from trainer.data import features, item_attributes
from trainer.data.data_roots import DataRoots
from trainer.data.databases import url as database_url
from trainer.data.interactions import read_interactions
from trainer.errors import OptionError, TrainerError
from trainer.event_log import files as event_files
from trainer.event_log.errors import EventLogError
from trainer.event_log.write_ahead import WriteAheadFile

_VERSION = "20261124T043500Z-3fa9c1"
_KEY = "3f" * 32


def page_tokens(_: Path) -> Execute:
    page = pages.Page(pages.fingerprint(b"a request"))

    def execute(random: Random) -> str:
        position = pages.Position(random.randrange(2**32), random.randrange(2**32))
        token = pages.encode(position, page, version=_VERSION, key=_KEY)
        given = mutation.mutate_bytes(random, token.encode()).decode("utf-8", "replace")
        given = random.choice((token, random.choice(mutation.TEXTS), given, given, given))
        try:
            found = pages.decode(pages.Page(page.fingerprint, given), version=_VERSION, key=_KEY)
        except (InvalidArgumentError, PageExpiredError) as error:
            return str(error)[:40]
        # Nobody makes one up.
        assert given in ("", token)
        assert found == (position if given else pages.START)
        return "decoded"

    return execute


def database_urls(directory: Path) -> Execute:
    root = directory / "root"
    root.mkdir(exist_ok=True)
    (root / "events.sqlite").touch()
    password = "geh31m"  # noqa: S105 - what is looked for
    urls = (
        f"postgresql://user:{password}@host:5432/base?sslmode=require&sslpassword=another",
        f"postgres://user:{password}@[::1],other:1/base",
        f"postgres://user:{password}@/base?host=other&sslkeylogfile=/etc/x&port=1",
        "sqlite:///events.sqlite",
        f"sqlite:///{root}/events.sqlite",
        "sqlite:////etc/passwd",
    )

    def is_secret(url: str) -> bool:
        return f":{password}@" in url and url.count(password) == 1

    def execute(random: Random) -> str:
        url = mutation.mutate_bytes(random, random.choice(urls).encode()).decode("utf-8", "replace")
        problem = ""
        try:
            parsed = database_url.parse(url)
            # What isn't where passwords are is a part of the user's or the base's name, for instance.
            assert not is_secret(url) or password not in parsed.shown
            resolved = DataRoots([root]).resolve_url(url)
        except OptionError as error:
            problem = str(error)
        if problem:
            assert not is_secret(url) or password not in problem
            return problem[:20]
        again = database_url.parse(resolved)
        if again.path is None:
            assert again.has_login
            assert all(host[0] not in "/@" for host, _ in again.hosts)
            names = [name for name, _ in parse_qsl(again.text.partition("?")[2])]
            assert not any(name.endswith("file") for name in names)
        else:
            assert again.path.is_relative_to(root)
        return parsed.scheme

    return execute


def datasets(directory: Path) -> Execute:
    tables = {
        "interactions": {
            "user_id": ["a", "b", "é", "映画"],
            "item_id": ["1", "2", "3", "a,b"],
            "weight": [1.0, -1.0, 0.5, 1e8],
            "timestamp": [1_600_000_000, 1_650_000_000, 1_699_999_999, 1_700_000_000],
            "event": ["view", "", "view", "purchase"],
        },
        "items": {
            "item_id": ["1", "2"],
            "title": ["One", "Zwei"],
            "genres": ["a|b", ""],
            "year": [1999, 2000],
        },
    }
    whole = {
        (kind, ending): write(directory / f"whole.{ending}", columns).read_bytes()
        for kind, columns in tables.items()
        for ending in ("csv", "parquet")
    }

    def execute(random: Random) -> str:
        kind, ending = random.choice(list(whole))
        note(f"{kind}.{ending}")
        path = directory / f"hostile.{ending}"
        path.write_bytes(mutation.mutate_bytes(random, whole[kind, ending]))
        try:
            if kind == "interactions":
                return f"{ending} {len(read_interactions(path)) == 4}"
            wanted = item_attributes.parse(["genres", "year:number"])
            features.read_features(path, "item", columns=["genres"], separator="|", attributes=wanted)
        except TrainerError as error:
            return f"{ending} {str(error).removeprefix(str(path))[:30]}"
        return f"{ending} items"

    return execute


def event_logs(directory: Path) -> Execute:
    path = directory / "_wal-00000001"
    file = WriteAheadFile.create(path)
    for number in range(3):
        row = (f"e{number}", "ü", "映画", "view", 1.0, 1.7e9)
        file.append(event_files.encode([row] * (number + 1)))
    file.close()
    whole = path.read_bytes()

    def execute(random: Random) -> str:
        publications.overwrite(path, mutation.mutate_bytes(random, whole))
        try:
            table, end = event_files.read_wal(path, complete=random.random() < 0.5)
        except EventLogError as error:
            return str(error).removeprefix(str(path))[:30]
        assert end <= len(path.read_bytes())
        return f"{table.num_rows} events"

    return execute
