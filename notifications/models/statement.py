"""The room's way to statements that carry many rows at once: see `channels_app/statement.py`."""

from channels_app.statement import AWAY, changed, is_away, persevering, run

__all__ = ["AWAY", "changed", "is_away", "persevering", "run"]
