"""What a person has been told, kept in Postgres: a feed of items for each recipient.

Every change of a feed takes the next number of that feed under a row lock, so that numbers are dense
and in the order of commits. `docs/feed.md` says what follows from that.
"""
