"""Property tests judge results and never the clock, and leave nothing behind."""

from hypothesis import settings

settings.register_profile("preheat", deadline=None, database=None)
settings.load_profile("preheat")
