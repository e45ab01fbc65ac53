"""The composition root: settings, entry points, and the engines of the embedded default."""
