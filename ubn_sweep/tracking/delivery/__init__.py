"""From a journal into any store: in order, from where it was left off, and never twice."""
