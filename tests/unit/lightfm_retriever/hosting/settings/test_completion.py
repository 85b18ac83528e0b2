"""The scripts of completion, in a bash that completes."""

import re
import shutil
import subprocess

import pytest

from lightfm_retriever.hosting.settings import completion
from retriever import __main__ as retriever
from trainer import __main__ as trainer
from trainer.cli import arguments

PROGRAMS = {"lightfm-trainer": trainer.main, "lightfm-retriever": retriever.main}
# Completes the last word of a line as bash does when Tab is pressed.
PRESS = """
source "$1"
COMP_WORDS=($2)
[[ $2 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE=$2 COMP_POINT=${#2}
function=$(complete -p "${COMP_WORDS[0]}" | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
echo "${COMPREPLY[@]}"
"""


def script(capsys, program, shell):
    assert PROGRAMS[program](["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_script_is_written_for_each_shell_and_has_its_syntax(capsys, tmp_path, program, shell):
    text = script(capsys, program, shell)
    assert program in text
    path = tmp_path / "script"
    path.write_text(text)
    if shutil.which(shell):
        subprocess.run([shell, "-n", path], check=True)


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("lightfm-trainer pro", "promote"),
        ("lightfm-trainer train --epo", "--epochs"),
        ("lightfm-trainer train --loss w", "warp warp-kos"),
        ("lightfm-trainer train --volume v --spli", "--split --split-count --split-share"),
        ("lightfm-trainer fetch-dataset ", "movielens-100k"),
        ("lightfm-trainer train --interactions ev", "events.csv events_folder"),
        ("lightfm-trainer train --volume ev", "events_folder"),
        ("lightfm-retriever rec", "recommend"),
        ("lightfm-retriever recommend 3 --unknown ", "error ignore popular"),
        ("lightfm-retriever batch-recommend events.", "events.csv"),
        ("lightfm-retriever completion ", "bash zsh fish"),
    ],
)
def test_bash_completes_commands_flags_choices_and_paths(capsys, tmp_path, line, completed):
    path = tmp_path / "script"
    path.write_text(script(capsys, line.partition(" ")[0], "bash"))
    (tmp_path / "events.csv").touch()
    (tmp_path / "events_folder").mkdir()
    command = ["bash", "--norc", "-c", PRESS, "press", path, line]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == sorted(completed.split()), done.stderr


def test_every_command_is_completed():
    made = arguments.program()
    text = completion.script(made, "bash")
    [listed] = re.findall(r"_subparsers=\((.*)\)", text)
    assert listed.replace("'", "").split() == [*made.commands]
