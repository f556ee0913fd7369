"""The same picture twice in a set of images, exactly or nearly."""

from visionpipe.duplicates.finding import find_duplicates
from visionpipe.duplicates.pairs import Duplicates

__all__ = ["Duplicates", "find_duplicates"]
