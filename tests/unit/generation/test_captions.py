from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ml.generation import captions
from ml.generation.captions import TimedSentence, Timeline

WORD = st.text(st.characters(min_codepoint=33, max_codepoint=382, exclude_categories=["C", "Z"]),
               min_size=1, max_size=14)  # fmt: skip
TEXT = st.lists(WORD, min_size=1, max_size=40).map(" ".join)


@st.composite
def timelines(draw):
    at, sentences = 0.3, []
    for scene, text in enumerate(draw(st.lists(TEXT, min_size=1, max_size=5))):
        end = at + draw(st.floats(0.3, 12))
        sentences.append(TimedSentence(scene=scene, text=text, start=at, end=end))
        at = end + 0.28
    return Timeline(sentences=sentences, duration=at + 1, sample_rate=22050)


@given(timelines())
def test_captions_hold_every_word_in_order_and_stay_inside_their_sentence(timeline):
    made = captions.captions(timeline)
    said = " ".join(sentence.text for sentence in timeline.sentences).split()
    assert " ".join(caption.text for caption in made).split() == said
    assert all(len(caption.lines) <= captions.MAX_LINES for caption in made)
    for before, after in pairwise(made):
        assert before.start < before.end <= after.start + 1e-9
    starts, ends = {c.start for c in made}, {round(c.end, 6) for c in made}
    for sentence in timeline.sentences:
        assert sentence.start in starts
        assert round(sentence.end, 6) in ends


@given(timelines())
def test_srt_reads_back_to_the_millisecond(timeline):
    made = captions.captions(timeline)
    back = captions.from_srt(captions.to_srt(made))
    assert [text for _, _, text in back] == [caption.text for caption in made]
    for (start, end, _), caption in zip(back, made, strict=True):
        assert abs(start - caption.start) <= 0.0006
        assert abs(end - caption.end) <= 0.0006


@given(timelines())
def test_no_caption_can_open_a_style_override(timeline):
    styled = captions.to_ass(captions.captions(timeline), width=1280, height=720, accent="#fbbf24")
    for line in styled.splitlines():
        if line.startswith("Dialogue:"):
            body = line.split(",,0,0,0,,", 1)[1]
            overrides = body.count("{")
            assert overrides == body.count("}") == body.count("{\\k")


def test_scene_cuts_lie_between_the_sentences_of_two_scenes():
    timeline = Timeline(
        sentences=[
            TimedSentence(scene=0, text="a", start=0.3, end=1.0),
            TimedSentence(scene=0, text="b", start=1.2, end=2.0),
            TimedSentence(scene=1, text="c", start=3.0, end=4.0),
        ],
        duration=5.0,
        sample_rate=22050,
    )
    assert timeline.scene_spans() == [(0.0, 2.5), (2.5, 5.0)]
