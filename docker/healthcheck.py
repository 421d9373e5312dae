"""Exit code 0 if a service is healthy: `healthcheck.py URL [COMPONENT]`.

With COMPONENT the answer is JSON and its `COMPONENT.status` must be `healthy`, which is how
Airflow's API server tells about the heartbeats of the scheduler, DAG processor and triggerer.
Standard library only: every image has it, whatever is installed.
"""

from __future__ import annotations

import json
import sys
import urllib.request

_TIMEOUT_S = 4


def main(url: str, component: str | None = None) -> str | None:
    """Return None if the service is healthy, else why it is not."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - our URL
            body = response.read()
    except OSError as error:
        return f"{url}: {error}"
    if component is None:
        return None
    status = (json.loads(body).get(component) or {}).get("status")
    return None if status == "healthy" else f"{component} is {status or 'not running'}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
