"""What a problem looks like, and which solver that calls for."""
