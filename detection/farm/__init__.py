"""Camera farm: rendered CCTV scenes, a scripted day and an HTTP server that plays it."""
