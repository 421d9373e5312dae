"""Object storage: boto3 for data, the minio SDK for buckets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
from botocore.config import Config

from ml.exceptions import ServiceUnavailableError
from ml.settings import Bucket, Settings, get_settings

_PIECE = 256 * 1024
# The limit of S3.
_DELETED_AT_ONCE = 1000
BUCKETS: tuple[Bucket, ...] = ("bronze", "mlflow", "content", "reports")


@lru_cache(maxsize=4)
def _client(endpoint: str | None, access_key: str, secret_key: str, region: str) -> Any:
    """One client and its connections for all stores of a process; boto3's clients are shareable."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"max_attempts": 6, "mode": "standard"},
            connect_timeout=5,
        ),
    )


class ObjectStore:
    """A thin layer over one S3 endpoint. Keys are relative to a bucket."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or get_settings()

    @cached_property
    def _client(self) -> Any:
        settings = self._settings
        return _client(
            settings.s3_endpoint_url,
            settings.require("s3_access_key"),
            settings.require("s3_secret_key"),
            settings.s3_region,
        )

    def put_bytes(
        self, bucket: str, key: str, data: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        """Write one object."""
        self._call("put_object", Bucket=bucket, Key=key, Body=data, ContentType=content_type)

    def get_bytes(self, bucket: str, key: str) -> bytes:
        """Read one object.

        Raises:
            FileNotFoundError: if there is none under that key.
        """
        try:
            body: bytes = self._call("get_object", Bucket=bucket, Key=key)["Body"].read()
        except botocore.exceptions.BotoCoreError as error:
            raise ServiceUnavailableError(f"object storage: {error}") from error
        return body

    def read_range(self, bucket: str, key: str, first: int, last: int) -> Iterator[bytes]:
        """Bytes of one object from the first to the last, both included, in pieces.

        Raises:
            FileNotFoundError: if there is none under that key.
        """
        found = self._call("get_object", Bucket=bucket, Key=key, Range=f"bytes={first}-{last}")
        pieces: Iterator[bytes] = found["Body"].iter_chunks(_PIECE)
        return pieces

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        """Upload a file, in parts when it is large."""
        try:
            self._client.upload_file(str(path), bucket, key)
        except (boto3.exceptions.S3UploadFailedError, botocore.exceptions.BotoCoreError) as error:
            raise ServiceUnavailableError(f"object storage: {error}") from error

    def get_file(self, bucket: str, key: str, path: Path) -> None:
        """Download an object to `path`; the file appears only when it is complete.

        Raises:
            FileNotFoundError: if there is no object under that key.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        try:
            self._client.download_file(bucket, key, str(partial))
        except botocore.exceptions.ClientError as error:
            raise _translate(error, bucket, key) from error
        except botocore.exceptions.BotoCoreError as error:
            raise ServiceUnavailableError(f"object storage: {error}") from error
        partial.replace(path)

    def exists(self, bucket: str, key: str) -> bool:
        """Whether there is an object under that key."""
        try:
            self._call("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return False
        return True

    def list_keys(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """All keys below `prefix`, in order."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield item["Key"]
        except botocore.exceptions.BotoCoreError as error:
            raise ServiceUnavailableError(f"object storage: {error}") from error

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are passed over.

        Raises:
            ServiceUnavailableError: if one of them stays.
        """
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            part = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
            answer = self._call("delete_objects", Bucket=bucket, Delete={"Objects": part})
            if errors := answer.get("Errors"):
                raise ServiceUnavailableError(f"object storage, {bucket}: {errors[0]}")

    def link(self, bucket: str, key: str, seconds: int) -> str:
        """An address that opens one object for so many seconds (at most a week) without a login."""
        address: str = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=min(seconds, 604_800)
        )
        return address

    def ensure_buckets(self) -> None:
        """Create the buckets that are missing."""
        from minio import Minio

        endpoint = urlsplit(self._settings.require("s3_endpoint_url"))
        client = Minio(
            endpoint=endpoint.netloc,
            access_key=self._settings.require("s3_access_key"),
            secret_key=self._settings.require("s3_secret_key"),
            secure=endpoint.scheme == "https",
            region=self._settings.s3_region,
        )
        for part in BUCKETS:
            name = self._settings.bucket(part)
            if not client.bucket_exists(bucket_name=name):
                client.make_bucket(bucket_name=name)

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(**arguments)
        except botocore.exceptions.ClientError as error:
            raise _translate(
                error, arguments.get("Bucket", ""), arguments.get("Key", "")
            ) from error
        except botocore.exceptions.BotoCoreError as error:
            raise ServiceUnavailableError(f"object storage: {error}") from error


def _translate(error: Any, bucket: str, key: str) -> Exception:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status == 404:
        return FileNotFoundError(f"s3://{bucket}/{key}")
    return ServiceUnavailableError(f"object storage, s3://{bucket}/{key}: {error}")
