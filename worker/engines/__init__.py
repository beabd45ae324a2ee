"""What computes: the execution providers, each in a file, and the choice between them."""
