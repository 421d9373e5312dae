"""The page of a gate: one file with its own style and no link to anywhere.

Great Expectations' own pages load their styles and scripts from half a dozen other hosts, know no
severity that stops anything, and do not say why an expectation is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
       color: #1c2128; background: #fff; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem;
         border-bottom: 1px solid #d8dee4; }
code { font-size: 13px; overflow-wrap: anywhere; }
.good { color: #116329; } .block { color: #a40e26; font-weight: 600; } .warn { color: #7d4e00; }
.note { color: #57606a; font-size: 13px; }
"""


def render_html(document: Mapping[str, Any]) -> str:
    """Turn the JSON report of a gate into a page."""
    verdict = (
        '<span class="block">blocked</span>'
        if document["blocked"]
        else '<span class="good">passed</span>'
    )
    rows = "\n".join(_row(item) for item in document["expectations"])
    title = escape(f"Gate {document['gate']}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{title}: {verdict}</h1>\n"
        f"<p>{document['rows']:,} rows, as of {escape(document['as_of'])}, run "
        f"<code>{escape(document['run_id'])}</code>, {document['seconds']} s</p>\n"
        "<table><thead><tr><th>Expectation</th><th>Result</th><th>Rows</th><th>Examples</th>"
        f"</tr></thead><tbody>\n{rows}\n</tbody></table>\n</body></html>\n"
    )


def _row(item: Mapping[str, Any]) -> str:
    check = item["check"]
    severity = check["severity"]
    result = f'<span class="{severity}">fails ({severity})</span>'
    if item["success"]:
        result = '<span class="good">holds</span>'
    if item.get("skipped"):
        result = f'<span class="note">skipped: {escape(item["skipped"])}</span>'
    found = item["unexpected"] if item["unexpected"] is not None else item["observed"]
    examples = [escape(str(example)) for example in item["examples"]]
    if item["error"]:
        examples.append(escape(item["error"]))
    return (
        f'<tr><td><b>{escape(check["name"])}</b><br><span class="note">{escape(check["why"])}<br>'
        f"<code>{escape(check['type'])} {escape(str(dict(check['arguments'])))}</code></span></td>"
        f"<td>{result}</td><td>{'' if found is None else escape(str(found))}</td>"
        f"<td>{'<br>'.join(f'<code>{text}</code>' for text in examples)}</td></tr>"
    )
