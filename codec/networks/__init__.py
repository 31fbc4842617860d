"""Models: bundles, and their networks run on arrays."""
