"""The sample city: a district made by formula, deterministic by seed, flagged as generated in every row."""
