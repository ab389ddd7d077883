"""The directory file as pydantic models: every key, its limits, and words that say what to do."""
