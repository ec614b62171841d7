"""What all tests share. Ray reads its environment when it is imported, so it is set before any test module is."""

from ubn_sweep.sweep.running.ray.environment import prepare_ray_environment

prepare_ray_environment(local=True)
