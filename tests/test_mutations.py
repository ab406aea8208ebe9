"""What mutations and simulation quote of the pipeline is in its code."""

import re
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


def test_the_messages_that_the_simulation_follows_are_the_pipelines():
    sources = [*PROJECT.glob("include/**/*.py"), *PROJECT.glob("deploy/*.py")]
    code = re.sub(r'"\s*\n\s*f?"', "", "".join(map(Path.read_text, sources)))
    followed = "".join((PROJECT / f"simulation/{name}.py").read_text() for name in ("airflow", "owner"))
    phrases = re.findall(r'"([^"{\n]+)" in (?:text|str\(error\))', followed)
    assert len(phrases) > 6
    assert [phrase for phrase in phrases if phrase.replace(" twitter_", " {") not in code] == []
