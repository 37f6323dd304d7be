"""Tool calls: the formats in which families of models write them, found in streamed text and forced by a grammar."""
