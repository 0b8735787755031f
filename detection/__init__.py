"""Detection: frames in, geotagged incidents out."""
