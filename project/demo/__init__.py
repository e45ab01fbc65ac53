"""The demo: a recorded evening, played through the whole of Belfry, and the proof that nothing is missing."""
