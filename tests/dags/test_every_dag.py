"""What holds of more than one DAG."""

import pytest


@pytest.mark.parametrize("name", ["twitter", "twitter_compliance", "twitter_engagement"])
def test_every_task_tells_of_its_failure_and_has_a_timeout_and_the_policy(bag, name):
    for task in bag.dags[name].tasks:
        assert [callback.__name__ for callback in task.on_failure_callback] == ["last_word", "tell"]
        assert task.execution_timeout is not None
        assert type(task.retry_policy).__name__ == "AsTheErrorSays"
