"""What each command does: calls the rooms in turn, and tells what came of it and what to type next."""
