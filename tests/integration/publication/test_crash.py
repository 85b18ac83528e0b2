"""Whenever a publishing process is killed, what readers see is whole."""

import signal
from datetime import timedelta

from lightfm_retriever.publication.labels import promote
from tests import publications
from tests.integration.publication.checks import assert_sound, assert_staging_is_cleaned_up


def test_killed_before_any_operation_the_volume_is_sound_and_the_next_writer_cleans_up(
    publisher, no_waiting_for_the_disk, tmp_path
):
    template = tmp_path / "template"
    yesterday = publications.NOON - timedelta(days=1)
    older = publications.publish(template, clock=lambda: yesterday)
    promote(template, older)
    states, kinds = [], set()
    while True:
        volume = publications.copy(template, tmp_path / str(len(states)))
        outcome = publisher.run(volume, seeds=[2], kill_at=len(states) + 1)
        if outcome["status"] == 0:
            break
        assert outcome["status"] == -signal.SIGKILL
        try:
            versions, current = assert_sound(volume, verified=frozenset([older]))
            assert_staging_is_cleaned_up(volume)
        except Exception as error:
            raise AssertionError(f"killed before {outcome['at']}") from error
        assert versions[0] == older, outcome["at"]
        states.append((len(versions), versions.index(current)))
        kinds.add(outcome["at"].split()[0])
    versions, current = assert_sound(volume)
    assert (len(versions), current) == (2, versions[1])
    # The version appears, then the label moves, and neither is ever taken back.
    assert states == sorted(states)
    assert {*states} == {(1, 0), (2, 0), (2, 1)}
    assert kinds >= {"open", "os.mkdir", "os.chmod", "os.fsync", "os.rename", "os.rmdir", "fcntl.flock"}
    # At the least each file is opened, sealed, flushed and measured.
    assert len(states) > 4 * len(publications.ALL_FILES)
