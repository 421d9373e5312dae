"""YouTube: the `mostPopular` chart of each configured region, whole and by category.

YouTube Data API v3, videos.list with `chart=mostPopular`, as documented on
https://developers.google.com/youtube/v3/docs/videos/list (read 2026-11); the resource is
https://developers.google.com/youtube/v3/docs/videos. Since 21 July 2025 the chart stands for the
Music, Movies and Gaming charts; older archives of "trending" videos do not match it. Not every
category has a chart in every region: the answer is then 404 videoChartNotFound, and the category
is left out.

`chart_rank` is the place on the region's whole chart. Rows of a category's chart have none: their
place is another list's, and `category_id` says which. So have the rows of the last resort, which
reads nothing but the videos that led the region's chart when it was last read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ml.exceptions import NotFoundError
from ml.settings import Settings
from ml.sources import fields
from ml.sources import youtube_data as api
from ml.sources.access import Access
from ml.sources.base import (
    Availability,
    Interval,
    Page,
    Record,
    Rejected,
    Source,
    SourceSpec,
    first_rank,
    is_latest,
    latest_end,
    new_page,
)
from ml.sources.http import HttpClient
from ml.sources.quota import Level, shares

log = logging.getLogger(__name__)

MAX_VIDEOS = 200  # the provider's own end of the chart
KNOWN_IDS = "known-ids"
_KNOWN = "known"  # of the cursor: the ids that last led each region's chart, best first


class YouTubeSource(Source):
    """Yields `raw.youtube_videos` rows, one per region, listed video and observation."""

    spec = SourceSpec(
        id="youtube",
        family="youtube",
        title="YouTube charts",
        docs=("https://developers.google.com/youtube/v3/docs/videos/list (2026-11)",),
        kinds=(),
        base_url=api.BASE_URL,
        credentials=(api.KEY,),
        quotas=(api.UNITS,),
        params={"regions": "youtube_regions", "categories": "youtube_categories"},
    )

    def __init__(self, settings: Settings, *, max_videos: int = MAX_VIDEOS) -> None:
        super().__init__(settings)
        self._regions = tuple(settings.youtube_regions)
        self._categories = tuple(settings.youtube_categories)
        self._pages = -(-min(max_videos, MAX_VIDEOS) // api.PAGE_SIZE)

    def availability(self) -> Availability:
        """Whether there is a key and a region."""
        if not self._regions:
            return Availability(False, 'set YOUTUBE_REGIONS, for example ["US"]')
        return super().availability()

    def levels(self) -> tuple[Level, ...]:
        """All regions and categories; then no categories; then half the regions, then the first.

        The last resort asks for the known ids of as many regions as cost less than one chart.
        """
        regular = [
            Level(name, {api.UNITS.pool: self._pages * len(regions) * (1 + len(categories))})
            for name, (regions, categories) in self._plans().items()
        ]
        cost = {api.UNITS.pool: len(self._known_regions())}
        return (*regular, Level(KNOWN_IDS, cost, last_resort=True))

    def _plans(self) -> dict[str, tuple[Sequence[str], Sequence[int]]]:
        """Regions and categories of each regular level, by its name, the most complete first."""
        total = len(self._regions)
        plans: dict[str, tuple[Sequence[str], Sequence[int]]] = {}
        if self._categories:
            name = f"regions={total} categories={len(self._categories)}"
            plans[name] = (self._regions, self._categories)
        for name, count in shares("regions", total).items():
            plans[name] = (self._regions[:count], ())
        return plans

    def _known_regions(self) -> Sequence[str]:
        return self._regions[: max(self._pages - 1, 1)]

    def fetch(
        self, interval: Interval, cursor: Mapping[str, Any] | None, access: Access
    ) -> Iterator[Page]:
        """Yield the pages of the charts, or at the last resort those of the cursor's ids."""
        with api.client(self, access) as http:
            if access.level.name == KNOWN_IDS:
                pages = self._known(http, (cursor or {}).get(_KNOWN, {}))
            else:
                pages = self._charts(http, access.level)
            for number, page in enumerate(pages):
                yield replace(page, number=number)

    def _charts(self, http: HttpClient, level: Level) -> Iterator[Page]:
        plans = self._plans()
        regions, categories = plans.get(level.name) or next(iter(plans.values()))
        for region in regions:
            yield from self._chart(http, "chart", {"regionCode": region})
            for category in categories:
                chosen = {"regionCode": region, "videoCategoryId": str(category)}
                try:
                    yield from self._chart(http, "category", chosen)
                except NotFoundError:  # videoChartNotFound
                    log.info("youtube: there is no chart of category %s in %s", category, region)

    def _chart(self, http: HttpClient, stream: str, chosen: Mapping[str, str]) -> Iterator[Page]:
        """The pages of one chart, each with the rank of its first video as its note."""
        params: dict[str, str | int] = {
            "chart": "mostPopular", "maxResults": api.PAGE_SIZE, **chosen,
        }  # fmt: skip
        rank = 1
        for _ in range(self._pages):
            fetched = api.get_videos(http, **params)
            yield new_page(stream, fetched, region=chosen["regionCode"], note=f"rank={rank}")
            items, token = api.outline(fetched.body)
            if not token or token == params.get("pageToken"):
                return
            params["pageToken"] = token
            rank += len(items)

    def _known(self, http: HttpClient, known: Mapping[str, list[str]]) -> Iterator[Page]:
        for region in self._known_regions():
            for ids in api.batches(known.get(region, [])[: api.PAGE_SIZE]):
                yield new_page("known", api.get_videos(http, id=ids), region=region)

    def parse(self, page: Page) -> Iterator[Record | Rejected]:
        """Turn a page into rows of `raw.youtube_videos`; what does not parse becomes `Rejected`."""
        first = first_rank(page) if page.stream == "chart" else None

        def read(item: Any, position: int) -> list[Record]:
            return [api.video_row(item, page, None if first is None else first + position)]

        return fields.parse_items(page, "video", api.items, read)

    def next_cursor(
        self,
        interval: Interval,
        cursor: Mapping[str, Any] | None,
        pages: Sequence[Page],
    ) -> Mapping[str, Any]:
        """The end of the latest interval, and the ids that then led each region's chart.

        A region that was not read keeps its ids.
        """
        known = dict((cursor or {}).get(_KNOWN, {}))
        if is_latest(interval, cursor):
            heads = [page for page in pages if page.stream == "chart" and first_rank(page) == 1]
            known |= {page.region: ids for page in heads if (ids := _ids(page))}
        return latest_end(interval, cursor) | ({_KNOWN: known} if known else {})


def _ids(page: Page) -> list[str]:
    items, _ = api.outline(page.body)
    found = (api.usable_id(item.get("id")) for item in items if isinstance(item, dict))
    return list(dict.fromkeys(filter(None, found)))
