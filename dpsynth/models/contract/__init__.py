"""What every method is: a recipe that plans without data, and a fitted model that holds none."""
