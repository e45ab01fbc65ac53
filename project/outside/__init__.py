"""A small outside world to send to: for the demo, the tests, the chaos and the benchmarks."""

from project.outside.behaviour import Behaviour
from project.outside.discord import Limit
from project.outside.journal import Count, Received
from project.outside.world import World

__all__ = ["Behaviour", "Count", "Limit", "Received", "World"]
