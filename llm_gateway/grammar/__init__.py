"""What an answer may look like: a JSON schema or a regular expression as one text in the EBNF that XGrammar reads."""
