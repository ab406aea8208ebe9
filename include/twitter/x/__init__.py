"""X: the client that signs and sends requests, the meaning of X's errors, and limits on responses."""
