"""X as a service: the client that signs and sends, its limits, and the responses as X sent them."""
