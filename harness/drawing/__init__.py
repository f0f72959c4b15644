"""Pictures drawn from trained generators: an image is a function of its seed alone."""
