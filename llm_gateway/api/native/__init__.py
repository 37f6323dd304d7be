"""The dialect of servers like this one: /generate, /stream, /infer, /clear_cache."""
