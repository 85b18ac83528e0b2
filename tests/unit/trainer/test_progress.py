import pytest

from trainer.progress import Bars, Silent


def test_each_step_tells_its_name_and_how_much_was_done_on_standard_error(capsys):
    bars = Bars()
    for name in ("one", "two"):
        with bars.step(name, 12) as advance:
            advance(5)
            advance(7)

    def fail():
        with bars.step("three", 10) as advance:
            advance(5)
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        fail()
    output = capsys.readouterr()
    lines = [line.split() for line in output.err.splitlines()]
    assert [line[0] for line in lines] == ["one", "two", "three"]
    for line, told in zip(lines, ("12/12", "12/12", "5/10"), strict=True):
        assert told in " ".join(line)
    with Silent().step("Training, epochs", 2) as advance:
        advance(2)
    assert output.out == "".join(capsys.readouterr()) == ""
