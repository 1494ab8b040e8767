"""What a picture file says of itself beside what the model says. Knows no model."""
