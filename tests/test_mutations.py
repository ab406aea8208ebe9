"""The mutations of the pipeline and of the simulation fit the code."""

from pathlib import Path

from rehearsals.mutations.pipeline import MUTATIONS
from simulation.mutations import MUTATIONS as SIMULATED

PROJECT = Path(__file__).parents[1]


def test_each_mutation_changes_one_place_and_names_tests_that_exist():
    assert [
        one.name
        for one in (*MUTATIONS, *SIMULATED)
        if (PROJECT / one.file).read_text().count(one.before) != 1
    ] == []
    assert [path for one in MUTATIONS for path in one.tests if not (PROJECT / path).exists()] == []
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS)
