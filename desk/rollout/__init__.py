"""A release goes out to a fleet in stages, and stops by itself: `python -m desk.rollout`, see docs/updates.md.

plan.py decides, book.py keeps what was decided on the disk, service.py is at the broker, command.py is for people.
"""
