"""The commands of ``visionpipe``, one a file: ``add_to(commands)`` adds its parser."""
