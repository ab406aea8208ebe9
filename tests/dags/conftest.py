"""The DAGs as Airflow reads them, each for the tests of its file."""

from copy import deepcopy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bag():
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "dags", bundle_path=ROOT, load_op_links=False)
    assert bag.import_errors == {}
    return bag


@pytest.fixture(scope="module")
def dag(bag, request):
    """The one that the tests are named after: `test_twitter_plan_dag.py` is of `twitter_plan`."""
    dag = bag.dags[Path(request.path).stem.removeprefix("test_").removesuffix("_dag")]
    with pytest.MonkeyPatch.context() as patch:
        # A parameter keeps the value that it was tried with.
        patch.setattr(dag, "params", deepcopy(dag.params))
        yield dag
