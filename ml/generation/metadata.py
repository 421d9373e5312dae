"""From a storyboard with times to the script document: titles, description, tags, metrics."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from itertools import pairwise

from ml.generation.brief import VideoBrief
from ml.generation.material import WORDS_PER_SECOND
from ml.generation.script import (
    EstimatedPerformance,
    Intro,
    Outro,
    QualityMetrics,
    Scene,
    Script,
    ScriptBody,
    Segment,
    SeoMetadata,
    Storyboard,
)
from ml.generation.text import clean, content_words, latin, stem, words

NULL_REASONS = {
    "engagement_score": "no trained engagement model scores scripts yet",
    "seo_score": "no ranking data to compute it from",
    "estimated_performance": "no model of published videos' performance yet",
}

_TITLE_CHARS, _TAGS_CHARS = 100, 400  # YouTube allows 100 and 500
_NGRAM = 4
_UNITS = frozenset(
    ["thousand", "million", "billion", "percent", "views", "days", "hours", "countries", "points"]
)

Span = tuple[float, float]


def estimate(storyboard: Storyboard) -> list[Span]:
    """Start and end of every scene in seconds, from its words, before there is a voice."""
    spans, at = [], 0.0
    for scene in storyboard.scenes:
        end = at + len(scene.text.split()) / WORDS_PER_SECOND
        spans.append((round(at, 2), round(end, 2)))
        at = end
    return spans


def assemble(brief: VideoBrief, storyboard: Storyboard, spans: Sequence[Span]) -> Script:
    """Build the script document, schema-checked.

    Args:
        brief: what the video is about.
        storyboard: its scenes.
        spans: start and end of each scene in seconds.
    """
    lengths = [round(end - start, 2) for start, end in spans]
    intro, outro = storyboard.scenes[0], storyboard.scenes[-1]
    segments = [
        Segment(
            type="main_content",
            timestamp=timestamp(span[0]),
            duration_seconds=length,
            text=scene.text,
            visual_cues=[scene.visual_cue or visual_cue(scene)],
            emphasis_points=scene.emphasis or emphasis(scene.text),
        )
        for scene, span, length in zip(storyboard.scenes, spans, lengths, strict=True)
    ][1:-1]
    return Script(
        script_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"ytempire:{brief.video_id}:{brief.seed}")),
        script=ScriptBody(
            intro=Intro(hook=intro.sentences[0].text, duration_seconds=lengths[0], text=intro.text),
            segments=segments,
            outro=Outro(
                duration_seconds=lengths[-1], text=outro.text, cta=outro.sentences[-1].text
            ),
        ),
        quality_metrics=_quality(brief, storyboard),
        seo_metadata=_seo(brief, storyboard),
        estimated_performance=EstimatedPerformance(),
        generation_cost=0.0,
    )


def timestamp(seconds: float) -> str:
    """Seconds as HH:MM:SS."""
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def visual_cue(scene: Scene) -> str:
    """What the video stage shows with a scene."""
    return {
        "title": f"title card: {scene.heading}",
        "chart": f"line chart of the measured trend of {scene.heading}",
        "fact": f"fact card: {scene.heading}",
        "why": f"keyword card: {scene.heading}",
        "outro": f"end card: {scene.heading}",
    }[scene.kind]


def emphasis(text: str) -> list[str]:
    """Words to stress: numbers with their unit, and quoted titles' words in capitals."""
    parts = text.split()
    found = []
    for word, following in zip(parts, [*parts[1:], ""], strict=True):
        if word[0].isdigit():
            unit = following.strip(".,?!")
            found.append(f"{word} {unit}" if unit in _UNITS else word.strip(".,?!"))
        elif word.isupper() and len(word) > 2:
            found.append(word.strip(".,?!\"'"))
    return list(dict.fromkeys(found))


def _quality(brief: VideoBrief, storyboard: Storyboard) -> QualityMetrics:
    """Two heuristics: neighbouring scenes' similarity, and words that no source has said."""
    from ml.generation.embedding import embed

    vectors = embed([scene.text for scene in storyboard.scenes])
    neighbours = [float(first @ second) for first, second in pairwise(vectors)]
    own = ngrams(" ".join(scene.text for scene in storyboard.scenes))
    given = set().union(*(ngrams(clean(fact.text)) for fact in brief.facts))
    return QualityMetrics(
        coherence_score=round(sum(neighbours) / len(neighbours), 4),
        originality_score=round(len(own - given) / len(own), 4) if own else None,
        engagement_score=None,
        seo_score=None,
    )


def ngrams(text: str) -> set[tuple[str, ...]]:
    """Runs of four words."""
    parts = words(text)
    return {tuple(parts[i : i + _NGRAM]) for i in range(len(parts) - _NGRAM + 1)}


def _seo(brief: VideoBrief, storyboard: Storyboard) -> SeoMetadata:
    spoken = words(" ".join(scene.text for scene in storyboard.scenes))
    counted = [stem(word) for word in spoken]
    keywords = sorted(content_words(f"{storyboard.topic} {' '.join(brief.keywords[:5])}"))
    return SeoMetadata(
        title_suggestions=_titles(brief, storyboard),
        description=_description(brief, storyboard),
        tags=_tags(brief, storyboard),
        keywords_density={
            word: f"{100 * counted.count(word) / len(counted):.1f}%"
            for word in keywords
            if word in counted
        },
    )


def _titles(brief: VideoBrief, storyboard: Storyboard) -> list[str]:
    topic = storyboard.topic[0].upper() + storyboard.topic[1:]
    titles = [f"{topic}: what the data say", f"{topic} in {_seconds(storyboard)} seconds"]
    if brief.series:
        change = brief.series[-1].value - brief.series[0].value
        verb = "rising" if change > 0 else "falling" if change < 0 else "holding steady"
        titles.insert(0, f"{topic} is {verb}: the curve")
    written = storyboard.wording.titles if storyboard.wording else []
    return [title[:_TITLE_CHARS] for title in dict.fromkeys([*written, *titles])]


def _seconds(storyboard: Storyboard) -> int:
    return max(10, round(estimate(storyboard)[-1][1] / 10) * 10)


def _description(brief: VideoBrief, storyboard: Storyboard) -> str:
    written = storyboard.wording.description if storyboard.wording else ""
    lines = [written or storyboard.scenes[0].sentences[0].text, ""]
    if brief.synthetic:
        lines += ["Synthetic data: the figures in this video are simulated.", ""]
    lines += [scene.text for scene in storyboard.scenes[1:-1]]
    links = [f"- {fact.source}: {fact.url}" for fact in brief.facts if fact.url]
    if links:
        lines += ["", "Sources:", *dict.fromkeys(links)]
    lines += ["", "Script and voice were made by software from the sources' data."]
    return "\n".join(lines)


def _tags(brief: VideoBrief, storyboard: Storyboard) -> list[str]:
    tags, used = [], 0
    written = storyboard.wording.tags if storyboard.wording else []
    known = [storyboard.topic, *(latin(clean(k, 40)) for k in brief.keywords)]
    for tag in dict.fromkeys([*known, *written]):
        if tag and used + len(tag) <= _TAGS_CHARS:
            tags.append(tag)
            used += len(tag) + 1
    return tags
