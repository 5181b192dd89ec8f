"""Whether the book holds: results evaluated and computed again, pages measured and pictured."""
