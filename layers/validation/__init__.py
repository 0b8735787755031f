"""Does the map foretell? Surfaces are made from what was known at a cut and scored on what happened afterwards."""
