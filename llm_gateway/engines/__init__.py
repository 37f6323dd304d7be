"""The inference libraries, each behind one contract, each only ever imported inside a worker."""
