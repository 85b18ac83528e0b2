"""The site builds without warnings, is complete, and loads nothing from other hosts."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import commands
import links
import navigation
import pytest
import wire
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from retriever import client

ROOT = Path(__file__).parents[2]
# Building takes longer while other tests use the processor.
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("site")]
_FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "link": "href",
}
_IN_STYLE = re.compile(r"url\(\s*['\"]?(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `make docs` does, but without running notebooks; return its folder."""
    folder = tmp_path_factory.mktemp("site")
    # The reference must not show settings of the builder's environment.
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "TRAINER_VOLUME": "/not/in/the/reference"}
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(folder),
    ]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Parsed(HTMLParser):
    """The texts and anchors of a page, and the addresses that a browser fetches for it."""

    def __init__(self, file):
        super().__init__()
        self.fetched, self.anchors, self.text = [], set(), ""
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.anchors.add(named.get("id"))
        if (found := named.get(_FETCHED.get(tag, ""))) is not None:
            self.fetched.append(found)

    def handle_data(self, data):
        self.text += data


def test_a_browser_asks_no_other_host(site):
    pages = [*site.rglob("*.html")]
    assert len(pages) > 40
    asked = {url for page in pages for url in Parsed(page).fetched if re.match(r"(https?:)?//", url)}
    assert asked == set()
    assert [
        str(file) for file in site.rglob("*.css") if _IN_STYLE.search(file.read_text("utf-8"))
    ] == []


@pytest.mark.parametrize("program", commands.PROGRAMS)
def test_the_command_line_has_every_command_and_flag(site, program):
    page = Parsed(site / "reference/cli.html")
    parsers = commands.PROGRAMS[program]().commands
    assert len(parsers) >= 7
    assert {f"{program}-{command}" for command in parsers} <= page.anchors
    helps = "".join(own.format_all() for own in parsers.values())
    flags = set(re.findall(r"--[a-z][a-z0-9-]+", helps))
    assert len(flags) > 60
    assert {flag for flag in flags if flag not in page.text} == set()
    shown = " ".join(page.text.split())
    notes = [own.epilog for own in parsers.values() if own.epilog]
    assert [note for note in notes if note not in shown] == []
    # The page has all options, so no entry leads to them.
    assert "show all options, by topic" not in shown
    assert "/not/in/the/reference" not in page.text


@pytest.mark.parametrize("package", wire.PACKAGES)
def test_the_messages_have_every_method_message_field_and_comment(site, package):
    page = Parsed(site / "reference/protobuf.html")
    file = wire.compiled()[package]
    tops = [*file.service, *file.message_type, *file.enum_type]
    assert {f"{package}.{top.name}" for top in tops} <= page.anchors
    methods = {f"{package}.{own.name}.{rpc.name}" for own in file.service for rpc in own.method}
    assert methods <= page.anchors
    nested = [own for message in file.message_type for own in message.nested_type]
    assert [own.name for own in nested if not own.options.map_entry] == []
    fields = {field.name for message in file.message_type for field in message.field}
    assert {name for name in fields if name not in page.text} == set()
    words = " ".join(page.text.split())
    comments = [" ".join(one.leading_comments.split()) for one in file.source_code_info.location]
    assert [one for one in comments if one and one[:30].replace("`", "") not in words] == []


def test_the_client_page_has_every_public_name(site):
    page = (site / "reference/python-client.html").read_text("utf-8")
    # Types and values are described where they are used.
    told = [name for name in client.__all__ if name[0].isupper() or "_of" in name or name == "in_range"]
    told = [name for name in told if isinstance(getattr(client, name), type)]
    assert len(told) > 10
    assert [name for name in told if f">{name}<" not in page] == []


def folder_of(tmp_path, pages):
    for name, text in pages.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


LISTED = {
    "index.md": "# Home\n\n## Guides\n\n- [One](guides/one.md): first.\n\n"
    "## Decisions\n\n- [All](adr/index.md): why.\n",
    "guides/one.md": "# One\n",
    "adr/index.md": "# Decisions\n\n- [First](0001.md)\n",
    "adr/0001.md": "# First\n",
}


def test_the_navigation_is_the_lists_of_pages(tmp_path):
    assert navigation.of(folder_of(tmp_path, LISTED)) == [
        {"Home": "index.md"},
        {"Guides": [{"One": "guides/one.md"}]},
        {"Decisions": ["adr/index.md", {"First": "adr/0001.md"}]},
    ]


def test_the_list_of_decisions_has_their_titles():
    files = sorted((ROOT / "docs/adr").glob("0*.md"))
    titles = [file.read_text("utf-8").splitlines()[0].removeprefix("# ") for file in files]
    listed = (ROOT / "docs/adr/index.md").read_text("utf-8").splitlines()
    assert [line for line in listed if line.startswith("- ")] == [
        f"- [{title}]({file.name})" for title, file in zip(titles, files, strict=True)
    ]


@pytest.mark.parametrize(
    ("page", "of"), [("guides/two.md", "docs/index.md"), ("adr/0002.md", "docs/adr/index.md")]
)
def test_a_page_that_no_list_has_is_an_error_that_says_where_to_add_it(tmp_path, page, of):
    folder_of(tmp_path, {**LISTED, page: "# New\n"})
    with pytest.raises(navigation.UnlistedError) as caught:
        navigation.of(tmp_path)
    assert f"docs/{page}: add a line with a link to it to {of}" in str(caught.value)


@pytest.mark.parametrize(
    "link", ["[gone](gone.md)", "[gone](index.md#gone)", "[gone](../gone.py)", "![gone](gone.png)", ""]
)
def test_a_link_that_leads_nowhere_ends_the_build(tmp_path, link):
    # The hooks add pages from other folders, whose links lead to missing pages here.
    settings = re.sub(r"(?m)^(hooks|watch):.*$", "", (ROOT / "mkdocs.yml").read_text("utf-8"))
    home = f"# Home\n\n{link}\n"
    config = folder_of(tmp_path, {"mkdocs.yml": settings, "docs/index.md": home}) / "mkdocs.yml"
    config = load_config(str(config), strict=True)
    if not link:
        build(config)
        return
    with pytest.raises(Abort, match="1 warnings"):
        build(config)


def test_links_out_of_the_docs_lead_to_pages_or_copies():
    copied = []

    def add_copy(source):
        copied.append(source)
        return f"source/{source}.txt"

    def mended(text):
        return links.mended(text, "how-to/tls.md", add_copy)

    assert (
        mended("[a](../../ARCHITECTURE.md#the-parts)")
        == "[a](../contributing/architecture.md#the-parts)"
    )
    assert mended("[a](../adr)") == "[a](../adr/index.md)"
    assert mended("[a](../../docker/kubernetes)") == "a"
    assert mended("[a\nb](../../protos/buf.yaml)") == "[a\nb](../source/protos/buf.yaml.txt)"
    assert copied == ["protos/buf.yaml"]
    for same in (
        "[a](https://example.org/b)",
        "[a](#b)",
        "```\n[a](../../README.md)\n```",
        "[a](gone.md)",
    ):
        assert mended(same) == same
