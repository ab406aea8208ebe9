"""A whole day on a real Airflow as on the host: the template's role, TLS, plain http refused."""

import csv
from datetime import UTC, datetime, timedelta

from tenacity import retry, retry_if_not_result, stop_after_delay, wait_fixed

from include.twitter import layout
from include.twitter.day import Day
from local import aws
from local.stack import Stack

ENDED = {"success", "failed"}


def test_the_day_lands_under_the_role_over_tls(tmp_path) -> None:
    day = Day.parse(str(datetime.now(UTC).date() - timedelta(days=2)))
    with Stack(state=tmp_path, port=None, env_file=tmp_path / "absent.env", tls=True) as stack:
        assert stack.aws.startswith("https://")
        owner = stack.root.client("s3", stack.aws, stack.certificate)
        assert "aws:SecureTransport" in owner.get_bucket_policy(Bucket=aws.BUCKET)["Policy"]
        assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} & stack.environment.keys()

        run = stack.airflow.run_day(str(day))
        ends = retry(
            retry=retry_if_not_result(ENDED.__contains__), stop=stop_after_delay(150), wait=wait_fixed(0.5)
        )
        assert ends(stack.airflow.run_state)(run) == "success", stack.airflow.stages(run)

        landed = stack.s3().get_object(Bucket=stack.bucket, Key=layout.csv(day))["Body"].read().decode()
        rows = list(csv.DictReader(landed.splitlines()))
        # quiet_garden posts on some days alone
        assert {row["username"] for row in rows} - {"quiet_garden"} == {"acme_press", "orbital_news"}
        assert all(row["created_at"].startswith(str(day)) for row in rows)
