"""Chaos, as a command: break every part of a running Belfry on purpose, and account for what it accepted.

Each case starts with a whole Belfry under load, does one bad thing to it, waits until nothing moves
any more, and asks both sides what became of everything: Belfry's API and the outside world.
"""
