"""The chapters: finding them, checking their parameters, executing them."""
