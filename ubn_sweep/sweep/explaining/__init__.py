"""A sweep in words and numbers: what its spec means, what it will cost, how far it is."""
