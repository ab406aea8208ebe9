"""The pipeline's bucket: the only importer of S3Hook.

No key: S3Hook falls through to the instance role where there is no connection `aws_default`, or an empty one.
No ACL: a bucket with ACLs disabled refuses a request that carries one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow.providers.amazon.aws.hooks.s3 import NO_ACL, S3Hook
from botocore.exceptions import ClientError, NoCredentialsError

from include.twitter.errors import BadSetting, NoPermission, NothingStaged

MEDIA_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".gz": "application/gzip",
}


class Lake:
    """Whole objects in one bucket, by key; `aws_conn_id` None means the instance role."""

    def __init__(self, bucket: str, aws_conn_id: str | None) -> None:
        self.bucket = bucket
        self._hook = S3Hook(aws_conn_id=aws_conn_id)

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def keys(self, prefix: str) -> list[str]:
        """Every key below a prefix, sorted."""
        with self._explained(prefix):
            return sorted(self._hook.list_keys(self.bucket, prefix=prefix))

    def read(self, key: str) -> bytes | None:
        """An object's bytes; None where there is no such object."""
        with self._explained(key):
            try:
                return self._hook.get_conn().get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise

    def write(self, key: str, data: bytes) -> None:
        """Put an object, in the place of an older one."""
        with self._explained(key):
            self._hook.get_conn().put_object(
                Bucket=self.bucket, Key=key, Body=data, ContentType=MEDIA_TYPES[Path(key).suffix]
            )

    def upload(self, key: str, file: Path) -> None:
        """Put a file's bytes, in parts if it is large."""
        with self._explained(key):
            self._hook.get_conn().upload_file(
                str(file), self.bucket, key, ExtraArgs={"ContentType": MEDIA_TYPES[file.suffix]}
            )

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the bucket, on the server: the target changes whole."""
        with self._explained(f"{source} → {target}"):
            self._hook.copy_object(source, target, self.bucket, self.bucket, acl_policy=NO_ACL)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn the refusals of S3 into errors that say what to do."""
        example = "acme-twitter-lake, in the account and region of the instance role"
        try:
            yield
        except NoCredentialsError as error:
            raise NoPermission(
                "There are no AWS credentials here. On EC2, attach the instance role; "
                "elsewhere, set Connection aws_default."
            ) from error
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchKey":
                raise NothingStaged(f"{key} is gone: clear the stage that made it.") from error
            if code == "NoSuchBucket":
                raise BadSetting(
                    "Variable twitter_bucket", f"there is no bucket {self.bucket!r}", example
                ) from error
            if code in ("AccessDenied", "403"):
                raise NoPermission(
                    f"AWS denies {error.operation_name} on {self.url(key)}. "
                    "Grant it to the instance role, or mend Variable twitter_bucket."
                ) from error
            raise
