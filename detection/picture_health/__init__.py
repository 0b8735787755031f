"""Picture health: what is measured on a picture, what is kept of it until the next one, and what follows from both."""
