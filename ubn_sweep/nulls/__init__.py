"""What a report says where nothing matters: a sweep replayed with made-up curves, and its statements counted."""
