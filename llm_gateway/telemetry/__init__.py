"""What the gateway says of itself: log lines and metrics."""
