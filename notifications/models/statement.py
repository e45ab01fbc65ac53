"""The room's way to statements that carry many rows at once: see `channels_app/statement.py`."""

from channels_app.statement import persevering, run

__all__ = ["persevering", "run"]
