"""A first grid where there is none: cells from outlines, seats, sites and roads, balanced, valid and numbered."""
