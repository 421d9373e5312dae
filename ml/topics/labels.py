"""Clean titles: what is left of them without the noise."""

from __future__ import annotations

import re
import unicodedata

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
# Vowel signs of Indic and South-East Asian scripts are part of words, which \w does not know.
_SIGNS = r"\u064b-\u0652\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
LETTERS = rf"(?:[^\W_]|[{_SIGNS}])+"
_WORD = re.compile(rf"{LETTERS}(?:['\u2019-]{LETTERS})*")
_PICTORIAL = frozenset({"So", "Sk", "Cs", "Cf", "Co", "Cn"})
_MIN_LETTERS = 3
_MAX_CHARS = 80

_STOP_WORDS = """
    a about after all an and are as at be been but by can did do does for from get had has
    have he her his how i if in into is it its just me my new no not of off on one or our
    out she so than that the their them then there they this to up was we were what when
    where which who why will with you your
"""
# Words that say what kind of video it is and not what it is about.
_GENERIC = """
    audio battle best challenge clip comment day days ep episode episodes feat final full funny
    game gameplay highlights hindi hour hours let's live lyrics minutes movie mv music new news
    official part play playthrough ps5 reaction review season short shorts song songs stream
    teaser telugu time top trailer tutorial update video videos viral vlog vs walkthrough
    watch world year years
"""
_KIND = """
    official trailer teaser lyric lyrics letra letras lyrical remix movie song songs canciones
    gameplay audio video visualizer clip officiel oficial feat ft
"""
# Function words of other languages with many titles; phrases begin and end with none of them.
_STOP_WORDS_ELSEWHERE = """
    vs al con como de del el en es la las le les lo los mi mis no para pero por que se si sin su
    te tu un una y yo da das do dos em eu meu na nas nos o os ou para se seu uma um au aux avec ce
    dans des du et il je les leur ma mes mon ne nous pas pour qui sa ses son sur une vous der die
    das den dem ein eine ich im ist mit nicht und von vom zu zum che di gli il nel non per sono
    во из как мы мой на не но от по ты что это dan di ini itu ke yang dari untuk aku
    kamu ang mga ng sa ka ko bu ile için ve bir hai ka ke ki ko mein se tera teri mera meri
    في من على مع و
"""
KIND_WORDS = frozenset(_KIND.split())
STOP_WORDS = frozenset(_STOP_WORDS.split())
ALL_STOP_WORDS = STOP_WORDS | frozenset(_STOP_WORDS_ELSEWHERE.split())
GENERIC_WORDS = ALL_STOP_WORDS | KIND_WORDS | frozenset(_GENERIC.split())


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
    return shortened(_calm(label)) or shortened(" ".join(title.split()))


def embedding_text(label: str) -> str:
    """The label without the words that say what kind of video it is.

    Left in, they make all trailers one topic. A label of nothing else stays as it is.
    """
    words = [word for word in label.split() if word.strip("()[]:!?,-").casefold() not in KIND_WORDS]
    kept = " ".join(words).strip(" -:|")
    return kept if sum(c.isalpha() for c in kept) >= _MIN_LETTERS else label


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


def shortened(label: str) -> str:
    """At most 80 characters, cut between words."""
    if len(label) <= _MAX_CHARS:
        return label
    return label[:_MAX_CHARS].rsplit(" ", 1)[0].rstrip(" -:,")
