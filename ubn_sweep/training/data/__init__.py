"""Images, and how they are split, augmented and fed."""
