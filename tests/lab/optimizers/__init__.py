"""Every optimizer of the lab against its original, and against the laws of its family."""
