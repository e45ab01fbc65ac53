"""The room's way to statements that carry many rows at once: see `channels_app/statement.py`."""

from channels_app.statement import changed, persevering, run

__all__ = ["changed", "persevering", "run"]
