"""Chaos of the live stream: many clients, a thousand changes a second, and in the end every client has its feed.

Each case starts with clients that are connected, writes into their feeds, does one bad thing to what lies between,
and lays what each client has beside the rows of the database.
"""
