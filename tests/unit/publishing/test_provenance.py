"""Whatever is changed in the chain of manifests is found."""

from __future__ import annotations

import hashlib

import pytest

from ml.publishing.provenance import chain_problems, link


@pytest.fixture
def chain() -> list[dict]:
    rows, previous = [], "0" * 64
    for number, name in enumerate(("v-1", "v-2", "v-3"), start=1):
        manifest = f'{{"video_id": "{name}"}}'
        digest = hashlib.sha256(manifest.encode()).hexdigest()
        rows.append({
            "sequence": number, "video_id": name, "manifest": manifest, "manifest_sha256": digest,
            "previous_hash": previous, "chain_hash": link(previous, name, digest),
        })  # fmt: skip
        previous = rows[-1]["chain_hash"]
    return rows


def test_a_whole_chain_has_no_problem(chain):
    assert chain_problems(chain) == []
    assert chain_problems([]) == []


@pytest.mark.parametrize(
    "field", ["manifest", "manifest_sha256", "video_id", "previous_hash", "chain_hash"]
)
@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_changed_field_is_found(chain, field, row):
    chain[row][field] = "x"
    assert chain_problems(chain)


def test_a_changed_manifest_with_a_new_hash_is_found(chain):
    changed = chain[1]
    changed["manifest"] = "{}"
    changed["manifest_sha256"] = hashlib.sha256(b"{}").hexdigest()
    changed["chain_hash"] = link(
        changed["previous_hash"], changed["video_id"], changed["manifest_sha256"]
    )
    assert chain_problems(chain) == [
        "manifest 3 (v-3) does not follow the one before: one was removed or changed"
    ]


def test_a_removed_manifest_is_found(chain):
    assert chain_problems([chain[0], chain[2]])
