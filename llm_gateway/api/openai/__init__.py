"""The dialect of OpenAI's API, with the extra fields that clients of vLLM send: /v1, /tokenize, /detokenize."""
