"""The use cases of this deployment, a folder each; nothing of the platform imports them by name."""
