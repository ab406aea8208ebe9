"""The mutations of `rehearsals/mutations` fit the code: who changes a line that one names, changes it too."""

from pathlib import Path

from rehearsals.mutations.pipeline import MUTATIONS

PROJECT = Path(__file__).parents[1]


def test_each_mutation_changes_one_place_and_names_tests_that_exist():
    assert [one.name for one in MUTATIONS if (PROJECT / one.file).read_text().count(one.before) != 1] == []
    assert [path for one in MUTATIONS for path in one.tests if not (PROJECT / path).exists()] == []
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS)
