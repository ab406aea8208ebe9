"""Features beside the pipeline's core: each folder can be deleted, since the core imports none of them."""
