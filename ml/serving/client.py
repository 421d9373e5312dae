"""A client of the HTTP API, typed by the API's own models.

    with Client("http://127.0.0.1:28000", api_key) as api:
        print(api.predict_trend("world cup final").trend_score)
        speech = api.synthesize_voice("Robots dived eight kilometres.")
        Path("speech.mp3").write_bytes(api.download(speech.audio_url))

Calls that reach no answer, and answers that ask for patience (429, 503), are tried again; long work
carries an idempotency key, so that a second try is the same job, and is waited for.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from ml.exceptions import FatalError, RetriableError, ServiceUnavailableError
from ml.serving.job_schemas import JobState, TrainAnswer, TrainStatus
from ml.serving.model_schemas import ModelList, ModelMetrics, Readiness, ReloadAnswer
from ml.serving.schemas import (
    FeatureAnswer,
    QualityAnswer,
    RecommendAnswer,
    TrendPrediction,
    VideoPrediction,
)
from ml.serving.work_schemas import Assessment, ScriptAnswer, ThumbnailAnswer, VoiceAnswer

Answer = TypeVar("Answer", bound=BaseModel)

_PATIENCE = frozenset({429, 502, 503, 504})
_LONGEST_PAUSE_S = 10.0
_LOOK_EVERY_S = 1.0


class RefusedError(FatalError):
    """The API refused a request; asking again will not help.

    Attributes:
        status: of HTTP.
        code: for programs, such as `missing_feature`.
        request_id: under which the API's log has it.
    """

    def __init__(self, status: int, code: str, detail: str, request_id: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.request_id = request_id


class BusyError(RetriableError):
    """The API, or what it needs, was away or out of quota at every try."""


class Client:
    """One API and one key; threads may share it."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout_s: float = 60,
        tries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect at the first call.

        Args:
            url: of the API, such as `http://127.0.0.1:28000`.
            api_key: of `ytempire keys create`.
            timeout_s: of one answer; routes of long work answer 202 before that.
            tries: of one call.
            transport: instead of the network.
        """
        self._http = httpx.Client(
            base_url=url, headers={"X-API-Key": api_key}, timeout=timeout_s, transport=transport
        )
        self._tries = tries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict_trend(self, topic: str, *, fresh: bool = False, **more: Any) -> TrendPrediction:
        """Whether a topic rises; `fresh` asks for a forecast that was not computed before."""
        headers = {"Cache-Control": "no-cache"} if fresh else {}
        body = {"topic": topic, **more}
        return self._post("predict/trend", body, TrendPrediction, headers)

    def predict_video(self, video_id: str) -> VideoPrediction:
        """Whether the views of a video keep rising."""
        return self._post("predict/video", {"video_id": video_id}, VideoPrediction)

    def score_quality(self, texts: Sequence[str]) -> QualityAnswer:
        """Clickbait, spam and toxicity of texts."""
        return self._post("score/quality", {"texts": list(texts)}, QualityAnswer)

    def recommend(self, segments: Sequence[str], k: int = 10) -> RecommendAnswer:
        """Topics for viewer segments."""
        return self._post("recommend", {"segments": list(segments), "k": k}, RecommendAnswer)

    def features(self, features: Sequence[str], entities: Sequence[str]) -> FeatureAnswer:
        """Features of entities as the online store has them."""
        body = {"features": list(features), "entities": list(entities)}
        return self._post("features", body, FeatureAnswer)

    def models(self) -> ModelList:
        """Registered versions."""
        return ModelList.model_validate(self._call("GET", "/ml/v1/models").json())

    def model_metrics(self, model_id: str, period: str = "24h") -> ModelMetrics:
        """How a version does."""
        path = f"/ml/v1/models/{model_id}/metrics"
        answer = self._call("GET", path, params={"period": period})
        return ModelMetrics.model_validate(answer.json())

    def reload(self, model_id: str, version: str, canary_percentage: float = 0) -> ReloadAnswer:
        """Load a registered version, as the champion or for a share of the callers."""
        body = {"version": version, "canary_percentage": canary_percentage}
        return self._post(f"models/{model_id}/reload", body, ReloadAnswer)

    def ready(self) -> Readiness:
        """Whether forecasts can be made; asks once."""
        return Readiness.model_validate(self._http.get("/ready").json())

    def generate_script(self, topic: str, *, within_s: float = 300, **more: Any) -> ScriptAnswer:
        """A script; waits for it."""
        return self._work("generate/script", {"topic": topic, **more}, ScriptAnswer, within_s)

    def synthesize_voice(self, text: str, *, within_s: float = 300, **more: Any) -> VoiceAnswer:
        """Speech; waits for it."""
        return self._work("synthesize/voice", {"text": text, **more}, VoiceAnswer, within_s)

    def generate_thumbnail(
        self, video_title: str, *, within_s: float = 300, **more: Any
    ) -> ThumbnailAnswer:
        """Thumbnails; waits for them."""
        body = {"video_title": video_title, **more}
        return self._work("generate/thumbnail", body, ThumbnailAnswer, within_s)

    def assess_quality(
        self,
        content_type: str,
        content_data: Mapping[str, str],
        *,
        within_s: float = 300,
        **more: Any,
    ) -> Assessment:
        """Scores of content; waits for them."""
        body = {"content_type": content_type, "content_data": dict(content_data), **more}
        return self._work("assess/quality", body, Assessment, within_s)

    def download(self, url: str) -> bytes:
        """A file that an answer named."""
        return self._call("GET", url).content

    def train(self, model_type: str, **more: Any) -> TrainAnswer:
        """Start a training; `training` tells how it is."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return self._post(f"train/{model_type}", more, TrainAnswer, headers)

    def training(self, job_id: str) -> TrainStatus:
        """How a training is."""
        answer = self._call("GET", f"/ml/v1/train/{job_id}/status")
        return TrainStatus.model_validate(answer.json())

    def wait_for_training(self, job_id: str, within_s: float = 3600) -> TrainStatus:
        """A training when it has ended.

        Raises:
            TimeoutError: if it goes on for longer.
        """
        deadline = time.monotonic() + within_s
        while (state := self.training(job_id)).status == "running":
            _sleep_until(deadline, job_id)
        return state

    def job(self, job_id: str) -> JobState:
        """How long work is."""
        return JobState.model_validate(self._call("GET", f"/ml/v1/jobs/{job_id}").json())

    def _work(
        self, route: str, body: Mapping[str, Any], shape: type[Answer], within_s: float
    ) -> Answer:
        deadline = time.monotonic() + within_s
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self._call("POST", f"/ml/v1/{route}", json=dict(body), headers=headers)
        if answer.status_code == httpx.codes.OK:
            return shape.model_validate(answer.json())
        state = JobState.model_validate(answer.json())
        while state.status in ("submitted", "running"):
            _sleep_until(deadline, state.job_id)
            state = self.job(state.job_id)
        if state.result is None:
            raise RefusedError(answer.status_code, "job_failed", state.error or "", "")
        return shape.model_validate(state.result)

    def _post(
        self,
        route: str,
        body: Mapping[str, Any],
        shape: type[Answer],
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = self._call("POST", f"/ml/v1/{route}", json=dict(body), headers=dict(headers or {}))
        return shape.model_validate(answer.json())

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask until there is an answer that is worth having.

        Raises:
            RefusedError: for a request that is wrong.
            BusyError: for an answer that asked for patience at every try.
            ServiceUnavailableError: if there was no answer at all.
        """
        problem: RetriableError = BusyError("never asked")
        for number in range(self._tries):
            pause = 0.2 * 2**number
            try:
                answer = self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                problem = ServiceUnavailableError(f"the API: {error}")
            else:
                if answer.status_code not in _PATIENCE:
                    return _accepted(answer)
                problem = BusyError(f"{answer.status_code}: {answer.text[:300]}")
                pause = _asked_pause(answer, pause)
            if number + 1 < self._tries:
                time.sleep(min(pause, _LONGEST_PAUSE_S))
        raise problem


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        said: dict[str, Any] = answer.json()
    except ValueError:
        said = {}
    raise RefusedError(
        answer.status_code,
        str(said.get("error", "")),
        str(said.get("detail", answer.text[:300])),
        str(said.get("request_id", "")),
    )


def _asked_pause(answer: httpx.Response, otherwise: float) -> float:
    given = answer.headers.get("Retry-After", "")
    return float(given) if given.isdigit() else otherwise


def _sleep_until(deadline: float, job_id: str) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"job {job_id} goes on; ask for it later")
    time.sleep(_LOOK_EVERY_S)
