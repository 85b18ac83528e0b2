"""People see which model was chosen, among which candidates, and why others weren't tried."""

from lightfm_retriever.publication.manifest import TrialFacts
from trainer.cli.printed.candidates import print_candidates


def done(model, ndcg, **more):
    return TrialFacts(
        model=model, settings={"a": 0.05, "b": 3}, state="complete", ndcg_at_10=ndcg, **more
    )


def printed(capsys, *candidates):
    print_candidates(candidates)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_the_best_come_first_and_each_family_has_its_best(capsys):
    many = [done("ease", 0.4 - place / 100) for place in range(12)]
    own = {"trained_ndcg_at_10": 0.1, "folded_ndcg_at_10": 0.2}
    lines = printed(capsys, *many, done("als", 0.2, folded_in=True, **own))
    assert lines[0].startswith("model: ease, the best of 13 candidates by NDCG@10 on the validation")
    assert lines[2].startswith("ease a=0.05 b=3 seen items 0.4000 100%")
    assert lines[12].startswith("als a=0.05 b=3 fold-in 0.2000 50%")
    assert lines[13] == "2 more candidates are in the manifest"
    assert len(lines) == 14


def test_reasons_are_counted(capsys):
    left = [
        TrialFacts(model="bpr", settings={"a": place}, state="skipped", reason="too slow")
        for place in range(3)
    ]
    failed = TrialFacts(model="als", settings={}, state="failed", reason="diverged")
    lines = printed(capsys, done("ease", 0.4), *left, failed)
    assert lines[-2:] == ["3 skipped of bpr: too slow", "1 failed of als: diverged"]


def test_of_a_named_model_the_users_are_told(capsys):
    one = done("lightfm", 0.25, folded_in=True, trained_ndcg_at_10=0.2, folded_ndcg_at_10=0.25)
    [line] = printed(capsys, one)
    assert line == (
        "model: lightfm; users by fold-in of their items (NDCG@10 on the validation interactions: "
        "trained vectors 0.2000, fold-in 0.2500)"
    )


def test_without_candidates_nothing_is_printed(capsys):
    assert printed(capsys) == []
