import pytest

from trainer.cli.printed.printing import print_warnings
from trainer.notes import note_if_few


@pytest.mark.parametrize(
    ("count", "total", "printed"),
    [
        (2, 1682, "note: 2 are left out"),
        (9, 1682, "warning: 2 are left out"),
        (1, 200, "warning: 2 are left out"),
    ],
)
def test_few_of_many_are_a_note_and_others_a_warning(capsys, count, total, printed):
    print_warnings([note_if_few("2 are left out", count, total)])
    assert capsys.readouterr().err == f"{printed}\n"
