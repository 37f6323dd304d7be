"""From token ids to what a client reads: whole characters, and nothing past a stop string."""
