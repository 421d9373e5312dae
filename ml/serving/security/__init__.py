"""Security of the HTTP API: who calls, how often, and what they may.

    install(app, settings)

    @app.post("/predict/trend")
    async def predict(caller: Annotated[Caller, Depends(require("predict"))]) -> ...

A request passes the edge (size, headers), then `require`: credential, key, rate limit, scope. On
that way nothing is asked of Postgres but behind the request, and Redis is asked once.
"""

from __future__ import annotations

from ml.serving.security.callers import Caller
from ml.serving.security.errors import ApiError, problem_response
from ml.serving.security.guard import require
from ml.serving.security.installation import install

__all__ = ["ApiError", "Caller", "install", "problem_response", "require"]
