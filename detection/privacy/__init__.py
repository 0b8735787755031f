"""What leaves the house shows no passer-by: persons are found and made unrecognisable, or nothing leaves."""
