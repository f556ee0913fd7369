"""Speed against peers, side by side in one run, and accuracy; kept with hardware and versions."""
