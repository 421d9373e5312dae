"""How good, how stable and how quick topics are, on the real archives, through the real database.

Starts a Postgres and an object store of its own, imports the archives, and replays days of
`assign_topics` in the order of time. Purity is measured on `topic_sample.csv`: 1,263 titles of six
windows of two or three days, read and labelled by hand before anything was clustered. Parameters
were chosen on the parts of January 2021, September 2017 and January 2026 (`dev`); the other three
(`test`) were only measured.

How the sample was labelled. Of each window the titles with the most upvotes or views (and all
trending repositories) were read with their channel. Two titles have one label if they are about
the same named thing: an event, a release (song, film, episode, product), a person in the news, a
match or tournament, a named game or show; the smallest such thing that both titles name. A kind
(trailers, lyric videos, remote work) is no topic. `-` is a topic of one title. Titles that leave
doubt were left out (about 50). One person labelled, once. The file holds ids and labels only;
titles are read from the archives.

    python tests/bench/bench_topics.py --data-dir DATA
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
from provenance import provenance
from topic_measures import agreement, stability

from ml.settings import Settings, get_settings
from ml.topics.items import Item, read_items
from ml.topics.junk import junk_by_rules
from ml.topics.language import title_language

SAMPLE = Path(__file__).with_name("topic_sample.csv")
DEV = ("hn-2021-01", "yt-2017-09", "yt-2026-01")
# The end of each window, and how many days before it are replayed.
PARTS = {
    "yt-2017-09": (datetime(2017, 9, 16, tzinfo=UTC), 2),
    "yt-2017-10": (datetime(2017, 10, 5, tzinfo=UTC), 4),
    "hn-2021-01": (datetime(2021, 1, 30, tzinfo=UTC), 4),
    "hn-2021-12": (datetime(2021, 12, 14, tzinfo=UTC), 7),
    "yt-2026-01": (datetime(2026, 1, 23, tzinfo=UTC), 4),
    "yt-2026-04": (datetime(2026, 4, 17, tzinfo=UTC), 4),
}
WEEKS = {
    "hackernews and github, 2021-12-07 to 14": datetime(2021, 12, 14, tzinfo=UTC),
    "youtube, 2026-05-24 to 31": datetime(2026, 5, 31, 6, tzinfo=UTC),
}
_OWN = "-"
_HNSW_QUERIES = 300


def main() -> None:
    """Run the bench and write its JSON."""
    arguments = _arguments()
    logging.basicConfig(level=logging.WARNING)
    load = os.getloadavg()[0]
    with platform_of(arguments.data_dir) as settings:
        report = {
            **provenance(),
            "load_before": round(load, 2),
            **measure(settings),
            "load_after": round(os.getloadavg()[0], 2),
        }
    text = json.dumps(report, indent=2)
    arguments.out.write_text(text + "\n")
    print(text)


def measure(settings: Settings) -> dict[str, object]:
    """Replay the parts and the weeks in the order of time, then compare."""
    sample = read_sample()
    found: dict[str, dict[str, str]] = {}
    weeks: dict[str, object] = {}
    for part, (end, days) in PARTS.items():
        if end in WEEKS.values():
            [week] = [name for name, last in WEEKS.items() if last == end]
            weeks[week] = replayed_week(settings, end)
        else:
            for day in range(days, -1, -1):
                assign(settings, end - timedelta(days=day))
        topics = assigned(settings)
        found[part] = {key: topics[key] for key in sample[part] if key in topics}
    week, end = next((name, end) for name, end in WEEKS.items() if name not in weeks)
    speed = throughput(settings, end - timedelta(days=7))
    weeks[week] = replayed_week(settings, end)
    quality = compared(settings, sample, found)
    return {
        "quality": quality,
        "stability": weeks,
        "speed": speed,
        "topics": topic_counts(settings),
        "nearest_topic": nearest_topic(settings),
        "language": languages(settings),
        "junk": junk(settings),
    }


def compared(
    settings: Settings, sample: Mapping[str, Mapping[str, str]], found: Mapping[str, dict[str, str]]
) -> dict[str, object]:
    """Agreement with the labels, of ours and of the baselines on the same titles."""
    texts = {part: titles(settings, found[part]) for part in found}
    vectors = {part: embedded(settings, found[part]) for part in found}
    threshold = max(
        (round(0.05 * step, 2) for step in range(2, 17)),
        key=lambda t: np.mean(
            [agreement(_labels(sample, found, p), tfidf(texts[p], t))["bcubed_f1"] for p in DEV]
        ),
    )
    rivals = {
        "topics": lambda part: list(found[part].values()),
        "every_title_its_own": lambda part: list(found[part]),
        f"tfidf_agglomerative_{threshold}": lambda part: tfidf(texts[part], threshold),
        "leaders_on_embeddings": lambda part: leaders(vectors[part]),
    }
    report: dict[str, object] = {"in_sample": sum(map(len, sample.values()))}
    for name, clusters in rivals.items():
        parts = {part: agreement(_labels(sample, found, part), clusters(part)) for part in PARTS}
        report[name] = {
            "dev": _mean(parts[part] for part in DEV),
            "test": _mean(parts[part] for part in PARTS if part not in DEV),
            "parts": parts,
        }
    return report


def replayed_week(settings: Settings, end: datetime) -> dict[str, object]:
    """A run a day; how much of one day's topics is there on the next, with and without memory."""
    kept, fresh, before, changes = [], [], {}, 0
    scratch: dict[str, str] = {}
    for day in range(7, -1, -1):
        as_of = end - timedelta(days=day)
        counts = assign(settings, as_of)
        after, again = assigned(settings), from_scratch(settings, as_of)
        if before:
            kept.append(stability(before, {key: after[key] for key in before if key in after}))
            fresh.append(stability(scratch, again))
            changes += counts.merged + counts.split
        with _connect(settings) as conn:
            keys = [item.key for item in _window(conn, as_of)]
        before, scratch = {key: after[key] for key in keys}, again
    return {
        "merges_and_splits": changes,
        "topics": _mean(kept),
        "clustered_from_scratch_every_day": _mean(fresh),
    }


def from_scratch(settings: Settings, as_of: datetime) -> dict[str, str]:
    """The same clustering without what was known: each day's topics by the ids they would get."""
    from ml.topics.assign import _vectors
    from ml.topics.update import update_topics

    with _connect(settings) as conn:
        items = _window(conn, as_of)
        update = update_topics([], items, lambda members: _vectors(conn, members), as_of)
    return {found.member.key: found.topic_id for found in update.assignments}


def throughput(settings: Settings, as_of: datetime) -> dict[str, object]:
    """Titles a second: a first run on a window, the day after, the same day again."""
    from ml.topics.embeddings import encode

    encode(["the encoder is loaded before anything is timed"])
    runs = {}
    for name, moment in {
        "first_run": as_of - timedelta(days=1),
        "next_day": as_of,
        "same_day_again": as_of,
    }.items():
        start, cpu = time.monotonic(), time.process_time()
        counts = assign(settings, moment)
        seconds = time.monotonic() - start
        runs[name] = {
            "titles": counts.items,
            "embedded": counts.embedded,
            "assigned": counts.assigned,
            "seconds": round(seconds, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "titles_per_second": round(counts.items / seconds),
        }
    with _connect(settings) as conn:
        sentences = [item.sentence for item in _window(conn, as_of)]
    start = time.monotonic()
    encode(sentences)
    runs["embedding_alone"] = {
        "titles": len(sentences),
        "titles_per_second": round(len(sentences) / (time.monotonic() - start)),
    }
    return runs


def nearest_topic(settings: Settings) -> dict[str, object]:
    """The nearest centroid of some items: one matrix product against the HNSW index."""
    from ml.topics import embeddings

    with _connect(settings) as conn:
        conn.execute("analyze ml.content_embeddings")
        keys = [row[0] for row in conn.execute(
            "select content_id from ml.content_embeddings where content_type = 'youtube_title'"
            " order by md5(content_id) limit %s", (_HNSW_QUERIES,),
        )]  # fmt: skip
        items = np.stack(list(embeddings.read(conn, "youtube_title", sorted(keys)).values()))
        start = time.monotonic()
        rows = conn.execute(
            "select content_id, vector_send(embedding) from ml.content_embeddings"
            " where content_type = 'topic_centroid' order by 1", binary=True,
        ).fetchall()  # fmt: skip
        centroids = np.stack([embeddings.from_bytes(data) for _, data in rows])
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
        exact = [rows[n][0] for n in (items @ centroids.T).argmax(axis=1)]
        product = time.monotonic() - start
        conn.execute("set local hnsw.iterative_scan = relaxed_order")
        start = time.monotonic()
        indexed = [conn.execute(
            "select content_id from ml.content_embeddings where content_type = 'topic_centroid'"
            " order by embedding <=> %s::vector limit 1", (embeddings.as_text(item),),
        ).fetchone() for item in items]  # fmt: skip
        hnsw = time.monotonic() - start
    hits = np.mean(
        [row is not None and row[0] == key for row, key in zip(indexed, exact, strict=True)]
    )
    return {
        "items": len(items),
        "topics": len(rows),
        "product_seconds_with_reading": round(product, 3),
        "hnsw_seconds": round(hnsw, 3),
        "hnsw_finds_the_nearest": round(float(hits), 3),
    }


def languages(settings: Settings) -> dict[str, object]:
    """Detected languages against declared ones (both declared, and alike)."""
    with _connect(settings) as conn:
        stories = [row[0] for row in conn.execute(
            "select payload ->> 'title' from raw.records where source = 'hackernews'"
            " and kind = 'item' order by md5(record_id) limit 3000"
        )]  # fmt: skip
        videos = conn.execute(
            "select distinct on (video_id) title, language from raw.youtube_videos"
            " where source = 'youtube-panel' and language is not null"
            " and md5(video_id) < '20' order by video_id, observed_at"
        ).fetchall()
    start = time.monotonic()
    guesses = [title_language(title, None) for title in stories]
    seconds = time.monotonic() - start
    guessed = [(title_language(title, None), title_language(title, said)) for title, said in videos]
    answered = [(found, said) for found, said in guessed if found and said]
    return {
        "titles_per_second": round(len(stories) / seconds),
        "english_stories": {
            "titles": len(stories),
            "called_en": round(np.mean([guess == "en" for guess in guesses]), 3),
            "called_another": round(np.mean([guess not in ("en", None) for guess in guesses]), 3),
        },
        "videos_without_their_declaration": {
            "titles": len(videos),
            "answered": round(len(answered) / len(videos), 3),
            "as_declared": round(np.mean([found == said for found, said in answered]), 3),
        },
    }


def junk(settings: Settings) -> dict[str, object]:
    """What the rules of thumb call junk, over all titles."""
    with _connect(settings) as conn:
        found = [row[0] for row in conn.execute(
            "select distinct title from raw.youtube_videos union all"
            " select payload ->> 'title' from raw.records where source = 'hackernews'"
            " and kind = 'item'"
        )]  # fmt: skip
    reasons = defaultdict(int)
    for title in found:
        reasons[junk_by_rules(title) or "kept"] += 1
    return {"titles": len(found), **dict(sorted(reasons.items()))}


def topic_counts(settings: Settings) -> dict[str, int]:
    """Topics by how many items they have, at the end."""
    with _connect(settings) as conn:
        rows = conn.execute(
            "select case when status = 'merged' then 'merged' when items = 1 then 'one item'"
            " when items = 2 then 'two items' else 'three items or more' end, count(*)"
            " from ml.topics group by 1 order by 1"
        ).fetchall()
    return dict(rows)


def tfidf(texts: Sequence[str], threshold: float) -> list[str]:
    """The dumb baseline: average-linkage clusters of TF-IDF vectors."""
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.feature_extraction.text import TfidfVectorizer

    near = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    distances = np.clip(1 - (near @ near.T).toarray(), 0, None)
    model = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=1 - threshold
    )
    return [str(number) for number in model.fit_predict(distances)]


def leaders(vectors: np.ndarray, threshold: float = 0.62) -> list[str]:
    """What was there before: an item joins the nearest first item that is near enough."""
    known: list[int] = []
    found = []
    for row, vector in enumerate(vectors):
        cosines = vectors[known] @ vector
        if known and cosines.max() >= threshold:
            found.append(str(known[int(cosines.argmax())]))
        else:
            known.append(row)
            found.append(str(row))
    return found


def read_sample() -> dict[str, dict[str, str]]:
    """Labels by part and item; a title with a topic of its own is labelled by its key."""
    sample: dict[str, dict[str, str]] = defaultdict(dict)
    with SAMPLE.open(newline="") as file:
        for row in csv.DictReader(file):
            key = f"{row['source']}:{row['content_id']}"
            sample[row["part"]][key] = key if row["label"] == _OWN else row["label"]
    return sample


def assign(settings: Settings, as_of: datetime):
    from ml.topics import assign_topics

    return assign_topics(as_of, settings=settings)


def assigned(settings: Settings) -> dict[str, str]:
    with _connect(settings) as conn:
        return dict(
            conn.execute("select source || ':' || content_id, topic_id from ml.topic_assignments")
        )


def titles(settings: Settings, keys: Iterable[str]) -> list[str]:
    with _connect(settings) as conn:
        rows = dict(
            conn.execute("select source || ':' || content_id, title from ml.topic_assignments")
        )
    return [rows[key] for key in keys]


def embedded(settings: Settings, keys: Iterable[str]) -> np.ndarray:
    from ml.topics.embeddings import read

    pairs = [key.split(":", 1) for key in keys]
    with _connect(settings) as conn:
        found = {
            source: read(conn, f"{source}_title", [i for s, i in pairs if s == source])
            for source in {source for source, _ in pairs}
        }
    return np.stack([found[source][content_id] for source, content_id in pairs])


def _window(conn: psycopg.Connection, as_of: datetime) -> list[Item]:
    return read_items(conn, as_of, 14, 2500, synthetic=False)[0]


def _labels(sample: Mapping, found: Mapping, part: str) -> list[str]:
    return [sample[part][key] for key in found[part]]


def _mean(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    rows = list(figures)
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


@contextmanager
def platform_of(data_dir: Path) -> Iterator[Settings]:
    """A Postgres with the archives and the staging views, gone afterwards."""
    state = tempfile.mkdtemp(prefix="ytempire-bench-")
    os.environ["YTEMPIRE_STATE_DIR"] = state
    os.environ["YTEMPIRE_DATA_DIR"] = str(data_dir)
    get_settings.cache_clear()
    from ml.runtime import embedded as services
    from ml.sources.archives import discover_archives
    from ml.storage.landing import import_archive
    from ml.warehouse import run_dbt

    try:
        services.up(lambda *_: None, ["postgres", "objects"])
        get_settings.cache_clear()
        settings = get_settings()
        for name, paths in discover_archives(data_dir):
            import_archive(name, paths)
        with _connect(settings) as conn:
            conn.execute("analyze")
        run_dbt(["run", "--select", "path:models/staging"], as_of=datetime(2026, 6, 1, tzinfo=UTC))
        yield settings
    finally:
        services.down(lambda *_: None)
        shutil.rmtree(state, ignore_errors=True)


def _connect(settings: Settings) -> psycopg.Connection:
    from ml.storage.postgres import connect

    return connect(settings.require("database_url"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=get_settings().data_dir)
    results = Path(__file__).with_name("results") / "topics.json"
    parser.add_argument("--out", type=Path, default=results)
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("give --data-dir, or set YTEMPIRE_DATA_DIR, to the folder of public archives")
    return arguments


if __name__ == "__main__":
    main()
