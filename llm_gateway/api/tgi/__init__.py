"""The dialect of Hugging Face's text-generation-inference: /generate with `inputs`, /generate_stream, POST /, /info."""
