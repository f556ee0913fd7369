"""The networks of visionpipe that a test can train."""

SMALL_NETWORKS = ["airbench", "cifarnet", "lenet", "mlp", "resnet20", "small_cnn", "softmax"]
