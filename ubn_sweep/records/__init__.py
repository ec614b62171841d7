"""What happened, on the ground floor: events in a journal, the folder that holds them, and what they add up to."""
