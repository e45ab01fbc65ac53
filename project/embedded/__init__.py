"""The embedded default: real PostgreSQL and Valkey as processes of ours, and the supervisor of all processes.

For a single machine, for development and for tests. Never in production.
"""
