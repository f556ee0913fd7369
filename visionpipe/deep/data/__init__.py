"""Images and labels on their way into a network."""
