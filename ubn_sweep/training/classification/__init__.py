"""The task of image classification: one network, one label an image."""
