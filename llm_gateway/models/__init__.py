"""Which model is served and whether it fits: what the volume holds, and the plan of its memory."""
