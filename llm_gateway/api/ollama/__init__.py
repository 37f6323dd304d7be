"""The dialect of Ollama: /api, and what its clients look for at /."""
