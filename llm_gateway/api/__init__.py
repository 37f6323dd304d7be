"""Dialects: JSON never goes past this folder."""
