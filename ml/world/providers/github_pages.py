"""GitHub's page of trending repositories in the world.

https://github.com/trending (no documentation; markup as of 2026-11): 25 `article.Box-row` at most,
in each a heading that links to the repository, a description if there is one, the language if
there is one, links to stargazers and forks with their numbers, and the stars of the period. The
language is a part of the path, the period is `since`, `daily` if it is none of the known ones. A
page without repositories says so in a `blankslate`.
"""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response

from ml.world import parameters as p
from ml.world import repositories
from ml.world.answers import Call, World, answer, read_call
from ml.world.faults import damage
from ml.world.vocabulary import vocabulary

_HTML = {"Content-Type": "text/html; charset=utf-8"}
_PERIODS = {"daily": (24, "today"), "weekly": (168, "this week"), "monthly": (720, "this month")}
_PAGE = """<!DOCTYPE html>
<html lang="en" data-color-mode="auto">
<head><meta charset="utf-8"><title>Trending {title}repositories on GitHub today</title></head>
<body class="logged-out">
<main id="js-pjax-container">
<div class="Box">
{rows}
</div>
</main>
</body>
</html>
"""
_BLANK = """<div class="blankslate"><h3 class="blankslate-heading">
It looks like we don&#39;t have any trending repositories for your choices.</h3></div>"""
_SORRY = """<!DOCTYPE html>
<html><head><title>{title}</title></head><body><p>{text}</p></body></html>
"""


def router(world: World) -> APIRouter:
    """The routes below `/github.com/trending`."""
    routes = APIRouter(prefix="/github.com")

    @routes.get("/trending")
    async def all_languages(request: Request) -> Response:
        return await _respond(request, world, None)

    @routes.get("/trending/{language}")
    async def one_language(request: Request, language: str) -> Response:
        return await _respond(request, world, repositories.slug(language))

    return routes


async def _respond(request: Request, world: World, language: str | None) -> Response:
    call = read_call(request, world)
    if fault := call.status_fault():
        title = "Too many requests" if fault[0] == 429 else "Unicorn! · GitHub"
        sorry = _SORRY.format(title=title, text="Please try again later.").encode()
        return await answer(call, lambda: sorry, fault[0], {**_HTML, **fault[1]})
    since = request.query_params.get("since", "daily")
    period = _PERIODS.get(since, _PERIODS["daily"])
    return await answer(call, lambda: _page(call, period, language).encode(), headers=_HTML)


def _page(call: Call, period: tuple[int, str], language: str | None) -> str:
    rows = damage(_rows(call, period[0], language), call.faults, call.world.seed, call.address)
    shown = "\n".join(_article(row, period[1]) for row in rows)
    return _PAGE.format(title=f"{escape(language)} " if language else "", rows=shown or _BLANK)


def _rows(call: Call, period_h: int, language: str | None) -> list[dict[str, Any]]:
    seed = call.world.seed
    found, stars, gained = repositories.trending(seed, call.minute, period_h, language)
    niches = vocabulary().niches
    languages = list(p.REPOSITORY_LANGUAGES)
    rows = []
    for row, entity in enumerate(map(int, found.ids)):
        niche = niches[found.niche[row]]
        subject, angle = niche.subjects[found.subject[row]], niche.angles[found.angle[row]]
        rows.append({
            "full_name": repositories.full_name(seed, entity, subject),
            "description": repositories.description(seed, entity, subject, angle),
            "language": languages[found.language[row]],
            "stars": int(stars[row]),
            "forks": int(stars[row] * found.forks[row]),
            "stars_today": int(gained[row]),
        })  # fmt: skip
    return rows


def _article(row: Any, period: str) -> str:
    """One repository; of a broken row, what is left."""
    if not isinstance(row, dict):
        return f'<article class="Box-row">{escape(str(row))}</article>'
    name = row.get("full_name")
    owner, _, short = str(name).partition("/")
    heading = f'<a href="/{name}" class="Link"><span>{owner} /</span> {short}</a>' if name else ""
    text, language = row.get("description"), row.get("language")
    about = f'<p class="col-9 color-fg-muted my-1">\n  {escape(text)}\n</p>' if text else ""
    written_in = (
        f'<span class="d-inline-block ml-0"><span class="repo-language-color"></span>'
        f'<span itemprop="programmingLanguage">{escape(language)}</span></span>'
        if language
        else ""
    )
    return f"""<article class="Box-row">
<div class="float-right d-flex"><a href="/login?return_to=%2F{name}" class="btn">Star</a></div>
<h2 class="h3 lh-condensed">{heading}</h2>
{about}
<div class="f6 color-fg-muted mt-2">
{written_in}
<a href="/{name}/stargazers" class="Link Link--muted"><svg aria-label="star"></svg>
  {_number(row.get("stars"))}</a>
<a href="/{name}/forks" class="Link Link--muted"><svg aria-label="fork"></svg>
  {_number(row.get("forks"))}</a>
<span class="d-inline-block float-sm-right"><svg></svg>
  {_number(row.get("stars_today"))} stars {period}</span>
</div>
</article>"""


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else escape(str(value))
