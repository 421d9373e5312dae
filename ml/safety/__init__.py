"""Is it allowed: listed words, the policy model, pictures that are not for work."""
