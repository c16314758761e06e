"""Sound: decoding, windows, and the one mel and PCEN front end."""
