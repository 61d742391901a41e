"""Published networks: their weights, architectures, import and inference."""
