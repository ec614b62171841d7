"""What a sweep does next: which config, which trial goes on. No Ray, no torch, no clock but the records'."""
