"""Several workers that train one network: one process each, gradients averaged, everything else as with one."""
