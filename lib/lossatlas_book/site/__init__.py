"""From executed chapters to the static site."""
