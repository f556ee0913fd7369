"""What a fitted classifier has learned and what it looks at, as arrays.

`filters`, `feature_maps` and `grad_cam` look into a network; `occlusion_map` asks any classifier of
images from outside. The displays of the same things draw what these functions return.
"""

from visionpipe.inspection.features import feature_maps, filters
from visionpipe.inspection.gradients import grad_cam
from visionpipe.inspection.occlusion import occlusion_map

__all__ = ["feature_maps", "filters", "grad_cam", "occlusion_map"]
