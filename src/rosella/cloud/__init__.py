"""A slice of TPUs that is got, held, trained on and given back by one command, and never billed by accident."""
