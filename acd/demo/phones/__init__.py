"""The phones of the demo: pyVoIP, repaired. Nothing else in the service may import this package's modules."""
