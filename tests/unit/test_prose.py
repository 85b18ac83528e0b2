import re
import tomllib

import pytest

from tests.prose import __main__ as command
from tests.prose.checks import RULES, findings
from tests.prose.texts import BREAK, prose


def found(name, text):
    return [(own.line, own.column, own.rule) for own in findings(name, text)]


def words(name, text):
    """The prose of a text, spaces made single."""
    masked = prose(name, text)
    assert len(masked) == len(text)
    assert masked.count("\n") == text.count("\n")
    return " ".join(masked.replace(BREAK, " | ").split())


def test_markdown_without_its_code_and_marks():
    page = "# A `name`\n\nSee [the page](other.md) and **this**.\n\n    code what is\n\n- one\n- two\n"
    assert words("a.md", page) == "| A xxxxxx See the page and this . | one | two"
    assert words("a.md", "```python\nwhat is\n```\n<!-- what is\nthis -->\nText.\n") == "Text."
    assert words("a.md", "| a | b |\n|---|--:|\n| c | `d` |\n") == "| a | b | | c | xxx |"


def test_an_item_of_a_list_may_have_indented_lines():
    assert words("a.md", "- one\n\n    more of it\n\nText.\n\n    code\n") == "| one more of it Text."


def test_a_changelog_is_history_but_for_what_comes_next():
    page = "# Changelog\n\nWords.\n\n## Unreleased\n\n- New.\n\n## 1.0\n\n- Old.\n"
    assert words("CHANGELOG.md", page) == "| Unreleased | New."


def test_comments_of_a_protobuf_file():
    text = "// Says one\n// thing.\nmessage A {\n  string b = 1; // Says `what` else.\n  // Third.\n}\n"
    assert words("a.proto", text) == "Says one thing. | | Says xxxxxx else. Third."


def test_public_docstrings_and_help_texts_of_python():
    text = '''"""Do this.

    code of it

More.
"""

AGE = 3
"""Said of a constant."""


def public():
    """Read it.

    Args:
        one: the first.
    """
    return "no prose"


def _private():
    """Hidden."""


class Kind:
    """A kind."""

    age: Annotated[int, Option(f"of {AGE} the "
                               "option")] = 1

    def _own(self):
        """Hidden, too."""
        parser.add_argument("--x", help="said" if AGE else "or said")
'''
    got = words("a.py", text)
    for own in (
        "Do this. More.",
        "Said of a constant.",
        "the first.",
        "A kind.",
        "of xxxxx the option",
        "or said",
    ):
        assert own in got
    for own in ("code", "prose", "Hidden"):
        assert own not in got


def test_a_finding_names_its_place():
    assert found("a.md", "Good text.\n\n- é `x` that is done with what is left.\n") == [
        (3, 22, "house.what")
    ]
    assert found("a.py", 'def f():\n    """é: take\n    whatever.\n    """\n') == [
        (3, 5, "house.whoever")
    ]
    assert found("a.proto", "message A {\n  int32 b = 1;  // Mend it.\n}\n") == [(2, 20, "house.mend")]


def test_the_checks_of_proselint_run_too_and_not_across_cells():
    assert found("a.md", "It is a a word.\n")[0][2].startswith("lexical_illusions")
    assert found("a.md", "| yes | yes |\n\nyes\n\nyes\n") == []


def test_a_sentence_has_an_end():
    words_of = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyzABCD"]
    long, short = " ".join(words_of), " ".join(words_of[:20])
    assert found("a.md", f"{long} more.\n") == [(1, 1, "house.sentence")]
    assert found("a.md", f"One. {long} more. Three.\n") == [(1, 6, "house.sentence")]
    for text in (
        f"{long}.\n",
        f"{short}.\n{short}",
        f"- {short}\n- {short}\n",
        f"# {short}\n\n{short}",
    ):
        assert found("a.md", text) == []


def test_a_question_may_be_a_heading_and_no_subject():
    for text in (
        "## What it does\n\nIt serves.\n",
        "What happens?\n",
        "| What it says |\n|---|\n| Much. |\n",
    ):
        assert found("a.md", text) == []
    assert found("a.md", "What happens\nis plain.\n") == [(1, 1, "house.subject")]
    assert found("a.md", "Text.\n\n- Yes. Who asks is answered.\n") == [(3, 8, "house.subject")]
    assert found("a.md", "Text.\n\nWhat happens is plain.\n") == [(3, 1, "house.subject")]
    assert found("a.md", "The log says what is wrong and what to do.\n") == []


def test_text_may_be_exempt_with_a_reason():
    text = "<!-- prose: off, an example -->\nWhat is said.\n<!-- prose: on -->\nText of whoever.\n"
    assert found("a.md", text) == [(4, 9, "house.whoever")]
    assert found("a.md", "<!-- prose: off -->\nOf whoever.\n") == [(1, 1, "house.off")]
    assert found("a.md", "Write `<!-- prose: off, x -->`\nOf whoever.\n") == [(2, 4, "house.whoever")]
    assert found("a.py", '# prose: off, it quotes\n"""Of whoever."""\n# prose: on\n') == []


@pytest.mark.parametrize("rule", tomllib.loads(RULES.read_text())["words"])
def test_each_pattern_compiles_and_says_what_to_write(rule):
    own = tomllib.loads(RULES.read_text())["words"][rule]
    assert re.compile(own["find"])
    assert own["write"].endswith(".")


def test_the_command_prints_findings_and_fails(tmp_path, capsys):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("Text of whoever.\n")
    (tmp_path / "docs/b.md").write_text("Text.\n")
    assert command.main([str(tmp_path / "docs")]) == 1
    line, last = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{tmp_path}/docs/a.md:1:9: house.whoever: Name the person")
    assert last.startswith("1 findings in 2 files")
    assert command.main([str(tmp_path / "docs/b.md")]) == 0
    assert command.main([str(tmp_path / "none.md")]) == 2
    assert "no such file" in capsys.readouterr().err
