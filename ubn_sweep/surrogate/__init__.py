"""The model that the search and the landscape share: a Gaussian process over configuration and epoch."""
