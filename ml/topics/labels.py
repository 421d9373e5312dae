"""Readable labels: what is left of titles without the noise, and what they have in common."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

_NOISE = (
    r"official|music|lyrics?|lyrical|video|audio|visuali[sz]er|mv|m/v|hd|hq|4k|8k|60\s?fps|1080p|"
    r"full|live|song|clip|clipe|oficial|vídeo|videoclip|remastered|performance|version|explicit|"
    r"english|subtitles?|sub|eng|shorts?|new|latest|no commentary|ultra|uhd|pc|ps5"
)
_BRACKETED = re.compile(r"[(\[{【『「][^()\[\]{}】』」]*[)\]}】』」]")
_NOISE_ONLY = re.compile(rf"(?:{_NOISE}|\W|\d{{4}})+", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*(?:\||\uff5c|•|·|►|▶|//|~|—)\s*")
_HANDLE = re.compile(r"[#@][\w.-]+")
_TRAILING = re.compile(
    r"[\s\-:,.|]*\b(?:official (?:music |lyric |lyrical )?(?:video|audio|visuali[sz]er)"
    r"|official mv|lyrics?|hd|hq|4k(?: 60\s?fps)?|#?shorts?)\s*$",
    re.IGNORECASE,
)
_HYPE = re.compile(r"([!?.])\1+")
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_YEAR = re.compile(r"20\d\d")
_PICTORIAL = frozenset({"So", "Sk", "Cs", "Cf", "Co", "Cn"})
_MIN_LETTERS = 3
_MAX_CHARS = 80
_PHRASE_WORDS = (2, 3, 4, 5)
_PHRASE_SHARE = 0.6
_PHRASE_MIN_TITLES = 3

_STOP_WORDS = """
    a about after all an and are as at be been but by can did do does for from get had has
    have he her his how i if in into is it its just me my new no not of off on one or our
    out she so than that the their them then there they this to up us was we were what when
    where which who why will with you your
"""
# Words that say what kind of video it is and not what it is about.
_GENERIC = """
    audio battle best challenge clip day days ep episode episodes feat final full game
    gameplay highlights hindi hour hours let's live lyrics minutes movie mv music new news
    official part play playthrough ps5 reaction review season short shorts song songs stream
    teaser telugu time top trailer tutorial update video videos viral vlog vs walkthrough
    watch world year years
"""
_KIND_WORDS = """
    official trailer teaser lyric lyrics letra lyrical remix movie song gameplay audio video
    visualizer clip officiel oficial feat ft
"""
_KIND = frozenset(_KIND_WORDS.split())
STOP_WORDS = frozenset(_STOP_WORDS.split())
_EMPTY_WORDS = STOP_WORDS | frozenset(_GENERIC.split())


def clean_title(title: str, channel: str | None = None) -> str:
    """Reduce a title to what it is about.

    Hashtags, handles, emoji, bracketed production notes, the channel's name at either end and
    anything after a separator that adds only noise go. A title of which nothing would be left
    stays as it is.
    """
    text = "".join(" " if unicodedata.category(c) in _PICTORIAL else c for c in title)
    text = _HANDLE.sub(" ", text.replace("\ufe0f", ""))
    text = _BRACKETED.sub(_keep_informative, text)
    parts = [part for part in map(_tidy, _SEPARATOR.split(text)) if _informative(part, channel)]
    label = parts[0] if parts else ""
    # A single short word says too little; the part after it usually names the thing.
    if len(parts) > 1 and len(_WORD.findall(label)) < 2:
        label = f"{label} - {parts[1]}"
    label = _without_channel(label, channel)
    return _shortened(_calm(label)) or _shortened(" ".join(title.split()))


def embedding_text(label: str) -> str:
    """The label without the words that say what kind of video it is.

    Left in, they make all trailers one topic. A label of nothing else stays as it is.
    """
    words = [word for word in label.split() if word.strip("()[]:!?,-").casefold() not in _KIND]
    kept = " ".join(words).strip(" -:|")
    return kept if sum(c.isalpha() for c in kept) >= _MIN_LETTERS else label


def shared_phrase(titles: Sequence[str]) -> str | None:
    """The longest phrase of two to five words that most of these cleaned titles share, if any."""
    if len(titles) < _PHRASE_MIN_TITLES:
        return None
    needed = max(_PHRASE_MIN_TITLES, _PHRASE_SHARE * len(titles))
    spelled: dict[str, Counter[str]] = {}
    counts: Counter[str] = Counter()
    for title in titles:
        seen = {phrase.casefold(): phrase for phrase in _phrases(title)}
        counts.update(seen.keys())
        for key, phrase in seen.items():
            spelled.setdefault(key, Counter())[phrase] += 1
    common = [key for key, count in counts.items() if count >= needed]
    if not common:
        return None
    best = min(common, key=lambda key: (-len(key.split()), -counts[key], key))
    return min(spelled[best], key=lambda text: (-spelled[best][text], text))


def _phrases(title: str) -> Iterable[str]:
    words = _WORD.findall(title)
    for size in _PHRASE_WORDS:
        for start in range(len(words) - size + 1):
            chosen = words[start : start + size]
            ends = {chosen[0].casefold(), chosen[-1].casefold()}
            telling = [w for w in chosen if not w.isdigit() and w.casefold() not in _EMPTY_WORDS]
            if telling and not ends & STOP_WORDS and not _YEAR.fullmatch(chosen[0]):
                yield " ".join(chosen)


def _keep_informative(match: re.Match[str]) -> str:
    inside = match.group()[1:-1]
    return " " if _NOISE_ONLY.fullmatch(inside) or not inside.strip() else match.group()


def _tidy(text: str) -> str:
    text = _HYPE.sub(r"\1", " ".join(text.split())).strip(" -:,|/\"'“”")
    return _TRAILING.sub("", text).strip(" -:,|/").rstrip(".\u2026")


def _informative(part: str, channel: str | None) -> bool:
    letters = sum(c.isalpha() for c in part)
    same = bool(channel) and part.casefold() == str(channel).casefold()
    return letters >= _MIN_LETTERS and not same and not _NOISE_ONLY.fullmatch(part)


def _without_channel(label: str, channel: str | None) -> str:
    if not channel:
        return label
    for pattern in (rf"\s+-\s+{re.escape(channel)}$", rf"^{re.escape(channel)}\s+[-:]\s+"):
        shorter = re.sub(pattern, "", label, flags=re.IGNORECASE)
        if shorter != label and len(_WORD.findall(shorter)) >= 2:
            return shorter
    return label


def _calm(label: str) -> str:
    """Titles that shout become words with one capital; short acronyms stay."""
    letters = [c for c in label if c.isalpha()]
    if len(letters) < 8 or sum(c.isupper() for c in letters) < 0.7 * len(letters):
        return label
    return " ".join(
        word if len(word) <= 3 and word.casefold() not in STOP_WORDS else word.capitalize()
        for word in label.split(" ")
    )


def _shortened(label: str) -> str:
    if len(label) <= _MAX_CHARS:
        return label
    return label[:_MAX_CHARS].rsplit(" ", 1)[0].rstrip(" -:,")
