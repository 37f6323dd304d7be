"""Preheat beside the servers that people would use instead: started in turn, asked alike, compared in one run."""
