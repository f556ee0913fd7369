"""``python -m visionpipe`` is the command ``visionpipe``."""

from visionpipe.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
