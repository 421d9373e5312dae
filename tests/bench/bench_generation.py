"""How good and how quick generation is on this machine, over real chart videos.

Topics are the most watched videos of a country file, one a channel, with Latin titles; nobody picks
them by hand. Scripts are written for all of them and compared with their own and with other topics;
for the first few the whole pipeline runs.

    python tests/bench/bench_generation.py --data-dir DATA --topics 20 --videos 3
    python tests/bench/bench_generation.py --data-dir DATA --s8

With `--s8` one video of about 60 s is made in 1080p, by stage; self-consistency, the upright twin
and ten thumbnails are measured apart. `cpu_seconds` is what a stage and its programs computed: on a
machine that does other work, half of it is what two idle cores would need at least.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import lzma
import os
import resource
import statistics
import tempfile
from collections import Counter, defaultdict
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from provenance import provenance

from ml.generation import pipeline
from ml.generation.artifacts import LocalStore
from ml.generation.brief import ChannelBrief, SeriesPoint, VideoBrief
from ml.generation.facts import video_fact
from ml.generation.gate_content import spoken
from ml.generation.relevance import measure
from ml.generation.script import Script
from ml.generation.stage import StageResult
from ml.generation.text import clean, latin, words
from ml.settings import Settings, get_settings

_FACTS = 4


def main() -> None:
    """Run the bench and write its JSON."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.s8:
        _write(arguments.out.with_name("generation_s8.json"), s8(arguments))
        return
    briefs = real_briefs(arguments.data_dir, arguments.country, arguments.topics)
    with tempfile.TemporaryDirectory() as folder:
        settings = get_settings().model_copy(update={"outbox_dir": Path(folder) / "outbox"})
        store = LocalStore(Path(folder) / "store")
        report = {
            **provenance(),
            "load_before": os.getloadavg()[0],
            "input": f"{arguments.country}, {len(briefs)} topics",
            "scripts": scripts(briefs, store, settings),
            "videos": videos(briefs[: arguments.videos], store, settings),
        }
    _write(arguments.out, report)


def _write(path: Path, report: dict[str, object]) -> None:
    text = json.dumps(report, indent=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    print(text)


def s8(arguments: argparse.Namespace) -> dict[str, object]:
    """One 1080p video by stage, and what is reported apart."""
    country = real_briefs(arguments.data_dir, arguments.country, 1)[0]
    brief = country.model_copy(update={"width": 1920, "height": 1080, "target_seconds": 60.0})
    report: dict[str, object] = {**provenance(), "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        plain = get_settings().model_copy(update={"outbox_dir": Path(folder) / "outbox"})
        once = plain.model_copy(update={"gate_retries": 0, "thumbnail_variants": 3})
        store = LocalStore(Path(folder) / "store")
        stages, total, cost = {}, 0.0, 0.0
        for stage in pipeline.STAGES:
            stages[stage.name], result = _timed(stage.name, brief, store, once)
            total += result.seconds
            cost += result.cost_usd
            if stage.name == "video":
                report["duration_s"] = result.metrics["duration_s"]
                report["encode_seconds"] = result.metrics["encode_seconds"]
            if stage.name == "gate":
                report["gate"] = {k: result.metrics[k] for k in ("verdict", "checkpoints")}
        report |= {"stages": stages, "seconds": round(total, 1), "cost_usd": cost}
        report["videos_a_day"] = round(86400 / total)
        agreeing = once.model_copy(update={"script_strategy": "self_consistency"})
        upright = once.model_copy(update={"video_vertical": True})
        ten = once.model_copy(update={"thumbnail_variants": 10})
        report["apart"] = {
            "script by self-consistency": _timed("script", brief, store, agreeing)[0],
            "video with its upright twin": _timed("video", brief, store, upright)[0],
            "ten thumbnails": _timed("thumbnail", brief, store, ten)[0],
        }
    report["load_after"] = os.getloadavg()[0]
    return report


def _timed(
    stage: str, brief: VideoBrief, store: LocalStore, settings: Settings
) -> tuple[dict[str, float], StageResult]:
    before = _cpu()
    result = pipeline.run_stage(stage, brief, store=store, settings=settings)
    return {"seconds": result.seconds, "cpu_seconds": round(_cpu() - before, 2)}, result


def _cpu() -> float:
    own, programs = (resource.getrusage(who) for who in (0, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in (own, programs))


def scripts(briefs: list[VideoBrief], store: LocalStore, settings: Settings) -> dict[str, object]:
    """Write every script; relevance, length, origin of the sentences, time."""
    texts, seconds, lengths = [], [], []
    origins: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for brief in briefs:
        result = pipeline.run_stage("script", brief, store=store, settings=settings)
        script = Script.model_validate_json(store.get_text(result.outputs["script.json"]["key"]))
        texts.append(spoken(script))
        lengths.append(len(words(texts[-1])))
        seconds.append(result.seconds)
        origins.update(result.metrics["sentences"])
        dropped.update(result.metrics["dropped"])
    bare = [without(text, clean(brief.topic)) for text, brief in zip(texts, briefs, strict=True)]
    topics = [clean(brief.topic) for brief in briefs]
    return {
        "relevance": asdict(measure(topics, texts)),
        "relevance_without_the_topic_itself": asdict(measure(topics, bare)),
        "seconds": _spread(seconds),
        "words": _spread(lengths),
        "sentences_by_origin": dict(origins),
        "candidates_dropped": dict(dropped),
    }


def without(text: str, topic: str) -> str:
    """A script with its topic's name taken out: the harder question of the same kind."""
    return text.replace(latin(topic), "it")


def videos(briefs: list[VideoBrief], store: LocalStore, settings: Settings) -> dict[str, object]:
    """Make whole videos; seconds by stage, verdicts, measured checks."""
    by_stage: dict[str, list[float]] = defaultdict(list)
    cost_by_stage: dict[str, float] = defaultdict(float)
    verdicts: Counter[str] = Counter()
    durations, sync, totals, voiced, encoded = [], [], [], [], []
    for brief in briefs:
        results = pipeline.run_all(brief, store=store, settings=settings)
        done = {result.stage: result for result in results}
        # A script that is there already counts with the seconds that it took.
        totals.append(sum(result.seconds for result in results))
        for name, result in done.items():
            by_stage[name].append(result.seconds)
            cost_by_stage[name] += result.cost_usd
        gate = json.loads(store.get_text(done["gate"].outputs["gate.json"]["key"]))
        checks = {check["name"]: check["value"] for check in gate["checks"]}
        verdicts[gate["verdict"]] += 1
        sync.append(checks["caption_sync_ms"])
        durations.append(checks["duration_s"])
        voiced.append(done["voice"].seconds / durations[-1])
        encoded.append(done["video"].metrics["encode_seconds"] / durations[-1])
    return {
        "videos": len(briefs),
        "seconds_by_stage": {name: _spread(values) for name, values in by_stage.items()},
        "seconds_per_video": _spread(totals),
        "videos_per_hour": round(3600 * len(totals) / sum(totals), 1),
        "duration_s": _spread(durations),
        "real_time_factor": {"voice": _spread(voiced), "encode": _spread(encoded)},
        "caption_sync_ms": _spread(sync),
        "verdicts": dict(verdicts),
        "share_passed_unaided": round(verdicts["pass"] / len(briefs), 4),
        "cost_usd_by_stage": {name: round(cost, 6) for name, cost in cost_by_stage.items()},
    }


def real_briefs(data_dir: Path, country: str, wanted: int) -> list[VideoBrief]:
    """Briefs of the most watched videos of a country file, one a channel."""
    path = data_dir / "youtube-2025-2026" / "countries" / f"{country}.csv.xz"
    observed: dict[str, list[dict[str, str]]] = defaultdict(list)
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            observed[row["video_id"]].append(row)
    by_channel: dict[str, list[list[dict[str, str]]]] = defaultdict(list)
    for rows in observed.values():
        by_channel[rows[0]["channel_id"]].append(rows)
    best = [sorted(videos, key=_views, reverse=True) for videos in by_channel.values()]
    best.sort(key=lambda videos: (-_views(videos[0]), videos[0][0]["video_id"]))
    found = [_brief(videos) for videos in best if _latin_title(videos[0][-1]["title"])]
    return found[:wanted]


def _brief(videos: list[list[dict[str, str]]]) -> VideoBrief:
    last = videos[0][-1]
    facts = tuple(
        video_fact(
            title=rows[-1]["title"], channel_title=rows[-1]["channel_title"], views=_views(rows),
            source="youtube-trending", video_id=rows[-1]["video_id"],
        )
        for rows in videos[:_FACTS]
    )  # fmt: skip
    series = tuple(
        SeriesPoint(at=datetime.fromisoformat(row["fetched_at"]), value=float(row["views"] or 0))
        for row in videos[0]
    )
    topic = facts[0].text.split('"')[1]
    return VideoBrief(
        video_id=f"bench-{last['video_id']}",
        channel=ChannelBrief(channel_id="bench", name="Trend Lab", niche=last["category_name"]),
        topic=topic,
        keywords=tuple(tag.strip() for tag in last["tags"].split(",") if tag.strip())[:8],
        facts=facts,
        series=series if len(series) > 1 else (),
        seed=7,
        as_of=datetime.fromisoformat(last["fetched_at"]),
    )


def _views(rows: list[dict[str, str]]) -> float:
    return float(rows[-1]["views"] or 0)


def _latin_title(title: str) -> bool:
    text = clean(title)
    return len(words(latin(text))) >= 3 and len(latin(text)) >= 0.9 * len(text)


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        "median": round(statistics.median(values), 2),
        "min": round(min(values), 2),
        "max": round(max(values), 2),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=get_settings().data_dir)
    parser.add_argument("--country", default="US")
    parser.add_argument("--topics", type=int, default=20)
    parser.add_argument("--videos", type=int, default=3)
    parser.add_argument("--s8", action="store_true")
    results = Path(__file__).with_name("results") / "generation.json"
    parser.add_argument("--out", type=Path, default=results)
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("give --data-dir, or set YTEMPIRE_DATA_DIR, to the folder of public archives")
    return arguments


if __name__ == "__main__":
    main()
