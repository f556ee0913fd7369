"""The commands of ``visionpipe``, one a file: its help, its arguments, and what it does."""
