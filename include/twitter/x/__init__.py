"""X: the client that signs and sends requests, and the limits of what comes back."""
