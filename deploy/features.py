"""Features that may have been removed: their modules are imported on demand."""

from __future__ import annotations

from importlib import import_module
from typing import Any

PACKAGE = "include.twitter_features"


def feature_module(name: str) -> Any:
    """Return a module of a feature, such as `snapshots.contract`; None if the feature was removed."""
    try:
        return import_module(f"{PACKAGE}.{name}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(PACKAGE):
            raise
        return None
