"""From raw speech to a finished track: noise reduction, equaliser, compression, loudness."""

from __future__ import annotations

from pathlib import Path

from ml.generation.media import loudnorm_report, run_ffmpeg

TARGET_LUFS, MAX_TRUE_PEAK = -16.0, -1.5

# Rumble off; steady noise around -50 dB down by at most 12 dB; less mud around 250 Hz and more
# presence around 3.5 kHz; gentle compression; sharp s sounds softened.
SHAPE = (
    "highpass=f=70,afftdn=nr=12:nf=-50,equalizer=f=250:t=q:w=1:g=-2,"
    "equalizer=f=3500:t=q:w=1.2:g=2,acompressor=threshold=-24dB:ratio=3:attack=4:release=80,"
    "deesser=i=0.2"
)
# Speech has more peak than -16 LUFS leaves room for, hence the limiter: so the loudness step can
# stay linear. AAC adds overshoot, hence the distance to the limit. What the limiter takes away is
# given back before it, or the last step would lift the peaks again; and it works at the rate of the
# result, since resampling makes new peaks.
_LIMIT = "aresample=48000,alimiter=limit=0.66:attack=3:release=40:level=false"
_ROUNDS, _CLOSE = 3, 0.3
_GOAL = f"loudnorm=I={TARGET_LUFS}:TP=-2:LRA=11"


def enhance(source: Path, target: Path, timeout_s: float) -> tuple[Path, dict[str, str]]:
    """Shape speech and bring it to -16 LUFS by one linear gain (two-pass loudnorm, EBU R 128).

    Returns:
        The file, and loudnorm's report; `normalization_type` is `linear` when nothing pumped.
    """
    gain = TARGET_LUFS - float(_measure(source, SHAPE, timeout_s)["input_i"])
    for _ in range(_ROUNDS):
        shape = f"{SHAPE},volume={gain:.2f}dB,{_LIMIT}"
        measured = _measure(source, shape, timeout_s)
        missing = TARGET_LUFS - float(measured["input_i"])
        if abs(missing) <= _CLOSE:
            break
        gain += missing
    linear = (
        f"{shape},{_GOAL}:linear=true:print_format=json"
        f":measured_I={measured['input_i']}:measured_TP={measured['input_tp']}"
        f":measured_LRA={measured['input_lra']}:measured_thresh={measured['input_thresh']}"
        f":offset={measured['target_offset']}"
    )
    report = run_ffmpeg(
        ["-i", str(source), "-af", linear, "-ar", "48000", "-c:a", "pcm_s16le", str(target)],
        timeout_s=timeout_s,
    )
    return target, loudnorm_report(report)


def _measure(source: Path, shape: str, timeout_s: float) -> dict[str, str]:
    chain = f"{shape},{_GOAL}:print_format=json"
    return loudnorm_report(
        run_ffmpeg(["-i", str(source), "-af", chain, "-f", "null", "-"], timeout_s=timeout_s)
    )
