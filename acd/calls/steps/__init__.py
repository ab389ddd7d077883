"""What the call machine decides, chapter by chapter. Pure: (context, call, event, now) -> (call, effects)."""
