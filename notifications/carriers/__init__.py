"""How deliveries reach the world: over HTTP, or through libraries that block."""

from notifications.carriers.base import Carrier
from notifications.carriers.blocking import BlockingCarrier, send_blocking
from notifications.carriers.http import HttpCarrier, send_one

__all__ = ["BlockingCarrier", "Carrier", "HttpCarrier", "send_blocking", "send_one"]
